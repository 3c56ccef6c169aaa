"""Stimuli of mental rotation: chiral objects and their mirror images, turned in depth or in the picture plane.

Shepard & Metzler 1971, "Mental rotation of three-dimensional objects", Science 171, 701-703. The camera moves on a ring
around the vertical axis, which turns the object in its view by the change of azimuth: in depth on a ring at some
elevation (a great circle at 0 degrees), and in the picture plane at the pole.
"""

from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gqn_probe.data.stimuli.cameras import camera_basis
from gqn_probe.data.stimuli.counter_rng import scene_keys, uniform
from gqn_probe.data.stimuli.scene_renderer import CAMERA_DISTANCE
from gqn_probe.types import Factors, Render

POLE = 89.99  # degrees: at the pole itself the azimuth would be lost


@dataclass(frozen=True)
class RotationViews:
    """Views of objects along one ring: a context in a cone around the first view, and turned views at every angle."""

    axis: str  # "depth" or "plane"
    angles: tuple[float, ...]  # degrees that each probe is turned by from the first view
    context_frames: UInt8[Tensor, "s v c h w"]  # the first view is that at 0 degrees
    context_cameras: Float[Tensor, "s v 5"]
    same_frames: UInt8[Tensor, "s angle c h w"]  # of the object itself
    mirror_frames: UInt8[Tensor, "s angle c h w"]  # of its mirror image, whose cubes keep their colours
    probe_cameras: Float[Tensor, "s angle 5"]

    def nearest(self, count: int) -> Float[Tensor, "s angle"]:
        """Return degrees from each turned view's camera to the nearest of the first ``count`` context cameras."""
        return self._turned(count).amin(dim=2)

    def nearest_view(self, count: int) -> Int[Tensor, "s angle"]:
        """Return the index of the context view with that nearest camera."""
        return self._turned(count).argmin(dim=2)

    def _turned(self, count: int) -> Float[Tensor, "s angle v"]:
        return camera_angle(self.probe_cameras[:, :, None], self.context_cameras[:, None, :count])


def mirrored(factors: Factors) -> Factors:
    """Return the objects' mirror images, in which each cube keeps its colour.

    Only the positions and the sign of the chirality are those of the mirror image: ``shape`` stays the original's.
    """
    flip = torch.tensor([-1.0, 1.0, 1.0], device=factors.positions.device)
    return replace(factors, positions=factors.positions * flip, chirality=-factors.chirality)


def camera_angle(first: Float[Tensor, "*#n 5"], second: Float[Tensor, "*#n 5"]) -> Float[Tensor, "..."]:
    """Return the angle between the orientations of two raw cameras, in degrees (0 to 180)."""
    frames = (torch.stack(camera_basis(raw.double()), dim=-2) for raw in (first, second))
    a, b = torch.broadcast_tensors(*frames)
    chord = (a - b).square().sum(dim=(-2, -1))  # 4 (1 - cos angle): no cancellation at small angles
    return (2 * torch.asin((chord / 8).sqrt().clamp(max=1))).rad2deg().float()


def ring_camera(azimuth: Float[Tensor, "*n"], elevation: Float[Tensor, "*n"]) -> Float[Tensor, "*n 5"]:
    """Return raw cameras on the sphere that face its middle; angles in degrees."""
    around, up = azimuth.double().deg2rad(), elevation.double().deg2rad()
    x, y, z = up.cos() * around.cos(), up.cos() * around.sin(), up.sin()
    yaw = torch.atan2(-around.sin(), -around.cos())  # of the azimuth itself: at the pole x and y are rounding
    return torch.stack([CAMERA_DISTANCE * x, CAMERA_DISTANCE * y, CAMERA_DISTANCE * z, yaw, -up], dim=-1).float()


def rotation_views(
    factors: Factors,
    render: Render,
    *,
    axis: str,
    elevation: float,
    angles: tuple[float, ...],
    context: int,
    cone: float,
    seed: int,
) -> RotationViews:
    """Render the context of each object, and its and its mirror image's view at every angle.

    Args:
        axis: what to call the ring; "depth" and "plane".
        elevation: of the ring, in degrees; ``POLE`` turns in the picture plane.
        context: number of context views; the first is at 0 degrees.
        cone: the others are at most so many degrees from it in azimuth, and as many in elevation.
        seed: of the first azimuth, the sense of rotation and the cone.
    """
    objects = len(factors.parts)
    keys = scene_keys(torch.arange(objects), seed=seed, stream=f"rotation {axis}")
    draws = uniform(keys, 2 + 2 * context)
    start, sense = 360 * draws[:, 0], torch.where(draws[:, 1] < 0.5, -1.0, 1.0)
    offset = cone * (2 * rearrange(draws[:, 2:], "s (v two) -> s v two", two=2) - 1)
    offset[:, 0] = 0
    height = elevation + offset[..., 1]
    height = torch.where(height > POLE, 2 * elevation - height, height)  # not over the pole
    context_cameras = ring_camera(start[:, None] + offset[..., 0], height)
    azimuth = start[:, None] + sense[:, None] * torch.tensor(angles, dtype=torch.float64)
    probe_cameras = ring_camera(azimuth, torch.full_like(azimuth, elevation))
    return RotationViews(
        axis=axis,
        angles=angles,
        context_frames=render(factors, context_cameras),
        context_cameras=context_cameras,
        same_frames=render(factors, probe_cameras),
        mirror_frames=render(mirrored(factors), probe_cameras),
        probe_cameras=probe_cameras,
    )
