"""Cameras in the GQN datasets' convention: (x, y, z, yaw, pitch), z up, radians.

The camera looks along (cos yaw cos pitch, sin yaw cos pitch, sin pitch), without roll. Networks take seven numbers;
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
    """Unit vectors to the right and top of the image, and along the gaze."""

    right: Float[Tensor, "*n 3"]
    up: Float[Tensor, "*n 3"]
    forward: Float[Tensor, "*n 3"]


def encode_cameras(raw: Float[Tensor, "*n 5"], order: str = "cos_sin") -> Float[Tensor, "*n 7"]:
    """Encode raw cameras as a network takes them: position, then cosine and sine of yaw, then of pitch.

    Args:
        order: "cos_sin", as the PyTorch and Chainer ports and the released weights have it, or "sin_cos", as
            DeepMind's reader has it.

    Raises:
        ValueError: the order is unknown.
    """
    x_y_z, yaw, pitch = raw[..., :3], raw[..., 3:4], raw[..., 4:5]
    if order == "cos_sin":
        return torch.cat([x_y_z, yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin()], dim=-1)
    if order == "sin_cos":
        return torch.cat([x_y_z, yaw.sin(), yaw.cos(), pitch.sin(), pitch.cos()], dim=-1)
    raise ValueError(f"camera order {order!r} is not known: use 'cos_sin' or 'sin_cos'")


def facing_origin(position: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 5"]:
    """Return raw cameras at the given positions that look at the origin."""
    x, y, z = position.unbind(-1)
    yaw, pitch = torch.atan2(-y, -x), -torch.asin((z / position.norm(dim=-1)).clamp(-1, 1))
    return torch.cat([position, torch.stack([yaw, pitch], dim=-1)], dim=-1)


def sphere_cameras(draws: Float[Tensor, "*n 2"], distance: float) -> Float[Tensor, "*n 5"]:
    """Map pairs of uniform numbers in [0, 1) to cameras uniform on a sphere, facing the origin.

    The height is uniform by Archimedes' hat-box theorem.
    """
    height, azimuth = 2 * draws[..., 0] - 1, 2 * math.pi * draws[..., 1]
    radius = (1 - height**2).sqrt()
    direction = torch.stack([radius * azimuth.cos(), radius * azimuth.sin(), height], dim=-1)
    return facing_origin(distance * direction)


def camera_basis(raw: Float[Tensor, "*n 5"]) -> Basis:
    """Return the axes of raw cameras."""
    yaw, pitch = raw[..., 3], raw[..., 4]
    zero = torch.zeros_like(yaw)
    forward = torch.stack([yaw.cos() * pitch.cos(), yaw.sin() * pitch.cos(), pitch.sin()], dim=-1)
    right = torch.stack([yaw.sin(), -yaw.cos(), zero], dim=-1)
    up = torch.stack([-yaw.cos() * pitch.sin(), -yaw.sin() * pitch.sin(), pitch.cos()], dim=-1)
    return Basis(right, up, forward)


def check_lens(lens: Lens) -> Lens:
    """Return the lens, or raise ValueError for a kind, position or length that none can have."""
    check_choice("lens.kind", lens.kind, LENSES)
    lengths = {"radius": [lens.radius], "box": lens.box or (), "scale": [] if lens.scale is None else [lens.scale]}
    for name, values in lengths.items():
        if not all(isinstance(value, int | float) and 0 < value < math.inf for value in values):
            raise ValueError(f"lens.{name}={getattr(lens, name)} is not a length: give a number above 0")
    if not all(isinstance(value, int | float) and abs(value) < math.inf for value in lens.centre):
        raise ValueError(f"lens.centre={lens.centre} is not a position: give three numbers")
    return lens


def make_lens(settings: Mapping[str, Any]) -> Lens:
    """Build a lens from settings by the names of its fields; ValueError for those that cannot be."""
    check_names("setting of a lens", sorted(settings), Lens._fields)
    values: dict[str, Any] = {"kind": None, "scale": None} | dict(settings)
    for name in {"centre", "box"} & values.keys():
        value = values[name]
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 3:
            values[name] = tuple(value)
        elif name == "centre" or value is not None:
            raise ValueError(f"lens.{name}={value} is not three numbers")
    return check_lens(Lens(**values))


def lens_settings(lens: Lens) -> dict[str, Any]:
    """Return the fields of a lens as JSON values."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in lens._asdict().items()}
