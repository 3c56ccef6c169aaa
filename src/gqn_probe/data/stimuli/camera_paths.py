"""Closed camera paths around a scene: at one distance, facing its centre, in equal steps of angle."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gqn_probe.choices import check_choice
from gqn_probe.data.stimuli.cameras import camera_basis, facing_origin

DEFAULT_ELEVATION = 25.0  # of an azimuth orbit, degrees
MAX_ELEVATION = 80.0  # of an elevation orbit, degrees
ANGLE_SLACK = 5.0  # degrees by which elevation and gaze may exceed those of the known cameras
DISTANCE_SLACK = 0.1  # the same for the distance, as a fraction of it


def azimuth_orbit(positions: int, *, elevation: float) -> Float[Tensor, "v 3"]:
    """Return unit vectors around the vertical axis, ``elevation`` degrees above the horizon."""
    around = _full_turn(positions)
    return _direction(around, torch.full_like(around, math.radians(elevation)))


def elevation_orbit(positions: int, *, azimuth: float, low: float, high: float) -> Float[Tensor, "v 3"]:
    """Return unit vectors that swing from one elevation to another and back, at one azimuth; degrees."""
    middle, swing = math.radians(low + high) / 2, math.radians(high - low) / 2
    up = middle + swing * _full_turn(positions).sin()
    return _direction(torch.full_like(up, math.radians(azimuth)), up)


def great_circle(positions: int, *, azimuth: float, inclination: float) -> Float[Tensor, "v 3"]:
    """Return unit vectors on a great circle that crosses the horizon at ``azimuth``, inclined to it; degrees.

    An inclination of 90 leads over the poles, where a camera without roll turns upside down: give less.
    """
    start, tilt = math.radians(azimuth), math.radians(inclination)
    first = torch.tensor([math.cos(start), math.sin(start), 0.0])
    flat = torch.tensor([-math.sin(start), math.cos(start), 0.0])
    second = math.cos(tilt) * flat + math.sin(tilt) * torch.tensor([0.0, 0.0, 1.0])
    around = _full_turn(positions)[:, None]
    return around.cos() * first + around.sin() * second


def orbit_path(
    kind: str,
    given: Float[Tensor, "n 5"],
    centre: Float[Tensor, "3"],
    *,
    positions: int,
    azimuth: float,
    elevation: float | None,
    inclination: float,
) -> Float[Tensor, "v 5"]:
    """Return raw cameras on an orbit around ``centre``, at the mean distance of the ``given`` cameras.

    Args:
        kind: azimuth, elevation (between the lowest and the highest of the given cameras) or great_circle.
        azimuth: of an elevation orbit, or of the start of a great circle; degrees, as the next two.
        elevation: of an azimuth orbit; None for the elevation nearest to 25 that the given cameras span.
        inclination: of a great circle.

    Raises:
        ValueError: the kind is unknown.
    """
    geometry = _viewing_geometry(given, centre)
    height = geometry["elevation"]
    low, high = max(float(height.min()), -MAX_ELEVATION), min(float(height.max()), MAX_ELEVATION)
    level = min(max(DEFAULT_ELEVATION, low), high) if elevation is None else elevation
    orbits = {
        "azimuth": lambda: azimuth_orbit(positions, elevation=level),
        "elevation": lambda: elevation_orbit(positions, azimuth=azimuth, low=low, high=high),
        "great_circle": lambda: great_circle(positions, azimuth=azimuth, inclination=inclination),
    }
    check_choice("orbit", kind, orbits)
    return cameras_facing(orbits[kind](), float(geometry["distance"].mean()), centre.tolist())


def check_cameras(path: Float[Tensor, "v 5"], known: Float[Tensor, "n 5"], centre: Float[Tensor, "3"]) -> None:
    """Raise ValueError for the first camera of ``path`` that is too near, far, high or low, or looks elsewhere."""
    asked, given = _viewing_geometry(path, centre), _viewing_geometry(known, centre)
    for name, values in asked.items():
        unit = "" if name == "distance" else "°"
        low, high = float(given[name].min()), float(given[name].max())
        slack = DISTANCE_SLACK * high if name == "distance" else ANGLE_SLACK
        wrong = ((values < low - slack) | (values > high + slack)).nonzero()[:, 0].tolist()
        if wrong:
            raise ValueError(
                f"camera {wrong[0]} has {name} {float(values[wrong[0]]):.3g}{unit}, outside of the "
                f"{low:.3g}{unit} to {high:.3g}{unit} that the network was trained on: give cameras like those"
            )


def _viewing_geometry(raw: Float[Tensor, "n 5"], centre: Float[Tensor, "3"]) -> dict[str, Float[Tensor, " n"]]:
    """Return distance from the centre, elevation above it, and angle between gaze and centre; degrees."""
    offset = raw[:, :3] - centre
    distance = offset.norm(dim=1)
    elevation = (offset[:, 2] / distance).clamp(-1, 1).asin().rad2deg()
    facing = -(camera_basis(raw).forward * offset).sum(dim=1) / distance
    return {"distance": distance, "elevation": elevation, "angle off the middle": facing.clamp(-1, 1).acos().rad2deg()}


def cameras_facing(
    directions: Float[Tensor, "*n 3"], distance: float, centre: Sequence[float] = (0.0, 0.0, 0.0)
) -> Float[Tensor, "*n 5"]:
    """Return raw cameras that look at ``centre`` from the given directions and distance."""
    raw = facing_origin(distance * directions)
    return torch.cat([raw[..., :3] + torch.tensor(centre), raw[..., 3:]], dim=-1)


def _full_turn(positions: int) -> Float[Tensor, " v"]:
    return 2 * math.pi * torch.arange(positions) / positions


def _direction(azimuth: Float[Tensor, " v"], elevation: Float[Tensor, " v"]) -> Float[Tensor, "v 3"]:
    flat = elevation.cos()
    return torch.stack([flat * azimuth.cos(), flat * azimuth.sin(), elevation.sin()], dim=-1)
