"""Rays of a camera's pixels, and their squared distance to points as an inner product of features.

With o the point of the ray closest to the origin and f its unit direction, the squared distance to a point p is

    |p - o|^2 - (f.p)^2 = |p|^2 - (f.p)^2 - 2 o.p + |o|^2,

which is linear in p and its products, so that an attention kernel computes it: ``ray_features . point_features``.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.choices import check_choice
from gqn_probe.types import Lens

CAMERA_ORDERS = {"cos_sin": [0, 1, 2, 3, 4, 5, 6], "sin_cos": [0, 1, 2, 4, 3, 6, 5]}  # to x y z, cosines before sines
UNKNOWN_SCALE = 0.6  # initial scale of a perspective lens, a field of view of 62 degrees


class Rays(NamedTuple):
    """Rays through the cells of a grid over the image, rows from the top; lengths in radii of the scene."""

    origin: Float[Tensor, "n g 3"]  # the point of the ray that is closest to the scene's centre
    direction: Float[Tensor, "n g 3"]  # unit
    forward: Float[Tensor, "n 3"]  # the camera's direction of view, unit
    eye: Float[Tensor, "n 3"]  # where depth is measured from: the camera, or the centre where rays are parallel


class RayCaster(nn.Module):
    """Map from encoded cameras to rays, by the lens of the data, which is stored with the weights.

    A scale that the data do not state is learned; see ``Lens``. The lens is a buffer, not an argument, because a
    network is built before its data are known.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("radius", torch.ones(()))
        self.register_buffer("perspective", torch.zeros(()))  # 1 for rays through the camera, 0 for parallel ones
        self.register_buffer("order", torch.tensor(CAMERA_ORDERS["cos_sin"]))

    centre: Tensor
    radius: Tensor
    perspective: Tensor
    order: Tensor

    @torch.no_grad()
    def use(self, lens: Lens, camera_order: str) -> None:
        """Set the lens; an unknown scale is learned from its initial value on.

        Raises:
            ValueError: the lens is neither orthographic nor perspective, or has no extent.
        """
        check_choice("lens.kind", lens.kind, ("orthographic", "perspective"))
        if lens.radius <= 0 or (lens.scale is not None and lens.scale <= 0):
            raise ValueError(f"a lens needs radius and scale above 0, got radius={lens.radius} and scale={lens.scale}")
        perspective = lens.kind == "perspective"
        unknown = UNKNOWN_SCALE if perspective else lens.radius
        self.log_scale.fill_(unknown if lens.scale is None else lens.scale).log_()
        self.log_scale.requires_grad_(lens.scale is None)
        self.centre.copy_(torch.tensor(lens.centre))
        self.radius.fill_(lens.radius)
        self.perspective.fill_(perspective)
        self.order.copy_(torch.tensor(CAMERA_ORDERS[camera_order]))

    def forward(self, cameras: Float[Tensor, "n 7"], grid: tuple[int, int]) -> Rays:
        """Return the rays through the centres of a grid of cells (rows, columns), in at least fp32."""
        position, angles = cameras[:, self.order].float().split([3, 4], dim=1)
        cos_yaw, sin_yaw, cos_pitch, sin_pitch = angles.unbind(dim=1)
        zero = torch.zeros_like(cos_yaw)
        forward = torch.stack([cos_yaw * cos_pitch, sin_yaw * cos_pitch, sin_pitch], dim=1)
        right = torch.stack([sin_yaw, -cos_yaw, zero], dim=1)
        up = torch.stack([-cos_yaw * sin_pitch, -sin_yaw * sin_pitch, cos_pitch], dim=1)

        rows, columns = (((torch.arange(n, device=cameras.device) + 0.5) / n * 2 - 1) for n in grid)
        across = rearrange(columns, "x -> 1 1 x 1") * rearrange(right, "n a -> n 1 1 a")
        upward = rearrange(-rows, "y -> 1 y 1 1") * rearrange(up, "n a -> n 1 1 a")
        offset = self.log_scale.exp() * rearrange(across + upward, "n y x a -> n (y x) a")

        # Offsets in the image turn the rays of a perspective lens and shift those of an orthographic one.
        direction = forward[:, None] + self.perspective * offset
        direction = direction / direction.norm(dim=-1, keepdim=True)
        position = (position - self.centre) / self.radius
        start = position[:, None] + (1 - self.perspective) * offset / self.radius
        origin = start - (start * direction).sum(dim=-1, keepdim=True) * direction
        return Rays(origin, direction, forward, self.perspective * position)


def ray_features(rays: Rays) -> Float[Tensor, "n g 11"]:
    """Return features of rays whose inner product with ``point_features`` is the squared distance."""
    x, y, z = rays.direction.unbind(dim=-1)
    squares = torch.stack([x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z], dim=-1)
    length = rays.origin.square().sum(dim=-1, keepdim=True)
    return torch.cat([-squares, -2 * rays.origin, length, torch.ones_like(length)], dim=-1)


def point_features(points: Float[Tensor, "point 3"]) -> Float[Tensor, "point 11"]:
    """Return features of points whose inner product with ``ray_features`` is the squared distance."""
    x, y, z = points.unbind(dim=-1)
    squares = torch.stack([x * x, y * y, z * z, x * y, x * z, y * z], dim=-1)
    length = points.square().sum(dim=-1, keepdim=True)
    return torch.cat([squares, points, torch.ones_like(length), length], dim=-1)
