"""Cameras in the GQN datasets' convention: (x, y, z, yaw, pitch), z up, radians.

The camera looks along (cos yaw cos pitch, sin yaw cos pitch, sin pitch), without roll. Networks see seven numbers;
ports disagree on their order, and weights trained with one order are wrong with the other.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gqn_probe.choices import check_choice, check_names
from gqn_probe.types import Lens

LENSES = ("orthographic", "perspective")
ORDERS = ("cos_sin", "sin_cos")


class Basis(NamedTuple):
    """Unit vectors of a camera."""

    right: Float[Tensor, "*n 3"]
    up: Float[Tensor, "*n 3"]
    forward: Float[Tensor, "*n 3"]


def encode_cameras(raw: Float[Tensor, "*n 5"], order: str = "cos_sin") -> Float[Tensor, "*n 7"]:
    """Raw cameras to what a network sees: position, then cosine and sine of yaw, then of pitch.

    ``order`` "cos_sin" is that of the PyTorch and Chainer ports and of the released weights;
    "sin_cos" is that of DeepMind's own reader, with the sine first.

    Raises:
        ValueError: for another order.
    """
    x_y_z, yaw, pitch = raw[..., :3], raw[..., 3:4], raw[..., 4:5]
    if order == "cos_sin":
        return torch.cat([x_y_z, yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin()], dim=-1)
    if order == "sin_cos":
        return torch.cat([x_y_z, yaw.sin(), yaw.cos(), pitch.sin(), pitch.cos()], dim=-1)
    raise ValueError(f"camera order {order!r} is not known: use 'cos_sin' or 'sin_cos'")


def facing_origin(position: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 5"]:
    """Raw cameras at the given positions that look at the origin."""
    x, y, z = position.unbind(-1)
    yaw, pitch = torch.atan2(-y, -x), -torch.asin((z / position.norm(dim=-1)).clamp(-1, 1))
    return torch.cat([position, torch.stack([yaw, pitch], dim=-1)], dim=-1)


def sphere_cameras(draws: Float[Tensor, "*n 2"], distance: float) -> Float[Tensor, "*n 5"]:
    """Cameras uniform on a sphere around the origin, facing it, from two uniform numbers in [0, 1) each.

    The height is uniform by Archimedes' hat-box theorem.
    """
    height, azimuth = 2 * draws[..., 0] - 1, 2 * math.pi * draws[..., 1]
    radius = (1 - height**2).sqrt()
    direction = torch.stack([radius * azimuth.cos(), radius * azimuth.sin(), height], dim=-1)
    return facing_origin(distance * direction)


def camera_basis(raw: Float[Tensor, "*n 5"]) -> Basis:
    """Directions to the image's right and top, and of view."""
    yaw, pitch = raw[..., 3], raw[..., 4]
    zero = torch.zeros_like(yaw)
    forward = torch.stack([yaw.cos() * pitch.cos(), yaw.sin() * pitch.cos(), pitch.sin()], dim=-1)
    right = torch.stack([yaw.sin(), -yaw.cos(), zero], dim=-1)
    up = torch.stack([-yaw.cos() * pitch.sin(), -yaw.sin() * pitch.sin(), pitch.cos()], dim=-1)
    return Basis(right, up, forward)


def check_lens(lens: Lens) -> Lens:
    """The same lens.

    Raises:
        ValueError: where its kind is not known or a length is not positive.
    """
    check_choice("lens.kind", lens.kind, LENSES)
    lengths = {"radius": [lens.radius], "box": lens.box or (), "scale": [] if lens.scale is None else [lens.scale]}
    for name, values in lengths.items():
        if not all(isinstance(value, int | float) and 0 < value < math.inf for value in values):
            raise ValueError(f"lens.{name}={getattr(lens, name)} is no length: give a number above 0")
    return lens


def make_lens(settings: Mapping[str, Any]) -> Lens:
    """The lens that settings describe by the fields of ``Lens``.

    Raises:
        ValueError: where a field does not exist or its value cannot be meant.
    """
    check_names("setting of a lens", sorted(settings), Lens._fields)
    values: dict[str, Any] = dict(settings)
    for name in ("centre", "box"):
        value = values.get(name)
        if value is not None:
            if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 3:
                raise ValueError(f"lens.{name}={value} is not three numbers")
            values[name] = tuple(value)
    return check_lens(Lens(**values))


def lens_settings(lens: Lens) -> dict[str, Any]:
    """The lens as plain values, as JSON keeps them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in lens._asdict().items()}
