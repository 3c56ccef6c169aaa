"""A batched ray caster of coloured cubes: parallel rays (orthographic) or rays through the camera (perspective).

A ray meets a cube by the slab test (Kay & Kajiya, SIGGRAPH 1986). Most rays miss most cubes, so each cube is tested
only against the rays of its bounding rectangle, and cubes are painted from the farthest to the nearest. For cells of
one grid that order is exact: along a ray, no coordinate comes closer to the camera again. Colours are summed as packed
integers, so that the anti-aliased bytes do not depend on the device's rounding.
"""

import math
from functools import cache
from itertools import product
from typing import NamedTuple

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gqn_probe.data.stimuli.cameras import Basis, camera_basis
from gqn_probe.types import Factors, Lens

EDGE = 0.25  # of a cube, in world units
AMBIENT = 0.45
LIGHT = (0.35, 0.55, 0.76)  # towards the light; three different numbers, so that all six faces differ
BACKGROUNDS = {"plain": (0.83, 0.83), "gradient": (0.94, 0.66)}  # grey at the top and at the bottom
IMAGES_AT_ONCE = {"cpu": 32}  # as many as fit into the cache; 1024 on other devices
NEAR = 1e-3  # least depth that is projected, and least distance from the axis that is not rounding


class Rectangles(NamedTuple):
    """Bounding rectangle of each cube in the image, in pixels; all have one size."""

    top: Int[Tensor, "s n"]
    left: Int[Tensor, "s n"]
    tall: int
    wide: int


class Slabs(NamedTuple):
    """Distances at which each ray enters and leaves the slab of a cube along each axis, in lengths of its direction."""

    enter: Float[Tensor, "s 3 h w"]
    leave: Float[Tensor, "s 3 h w"]


def background_grey(size: int, background: str) -> UInt8[Tensor, " {size}"]:
    """Return the grey level of the background in each row of the image, 0..255."""
    top, bottom = BACKGROUNDS[background]
    return (torch.linspace(top, bottom, size) * 255).round().to(torch.uint8)


@cache
def face_light() -> Float[Tensor, "3 2"]:
    """Return the brightness, in 0..1, of the faces that look along -x, +x; -y, +y; -z, +z.

    The cosine is wrapped to 0..1 ("half Lambert"), so that faces turned from the light still differ.
    """
    light = torch.tensor(LIGHT, dtype=torch.float64)
    cosine = (light / light.norm())[:, None] * torch.tensor([-1.0, 1.0], dtype=torch.float64)
    return (AMBIENT + (1 - AMBIENT) * (0.5 + 0.5 * cosine)).float()


def pack(rgb: Int[Tensor, "*n 3"]) -> Int[Tensor, "*n"]:
    """Pack RGB bytes into one integer, so that up to 256 of them can be summed without a carry."""
    return (rgb[..., 0] << 32) | (rgb[..., 1] << 16) | rgb[..., 2]


def unpack(packed: Int[Tensor, "*n h w"]) -> Int[Tensor, "*n 3 h w"]:
    """Split sums of packed colours into those of red, green and blue."""
    return torch.stack([packed >> 32, (packed >> 16) & 0xFFFF, packed & 0xFFFF], dim=-3)


def render_objects(
    factors: Factors,
    cameras: Float[Tensor, "s v 5"],
    *,
    lens: Lens,
    size: int,
    supersample: int = 2,
    background: str = "plain",
) -> UInt8[Tensor, "s v 3 {size} {size}"]:
    """Render objects whose cubes lie on one grid, with ``supersample`` squared rays a pixel, on their device.

    The first ``factors.parts`` cubes of a scene are shown. A perspective camera must be outside of all of them.

    Raises:
        ValueError: the scale of the lens is unknown.
    """
    if lens.scale is None:
        raise ValueError("cannot render without the scale of the lens: set data.lens.scale")
    views = cameras.shape[1]
    greys = background_grey(size, background).to(cameras.device).long()
    greys = repeat(pack(repeat(greys, "h -> h c", c=3)), "h -> (h i)", i=supersample)
    images = torch.empty(*cameras.shape[:2], 3, size, size, dtype=torch.uint8, device=cameras.device)
    for parts in factors.parts.unique().tolist():
        rows = (factors.parts == parts).nonzero()[:, 0].to(cameras.device)
        for row in rows.split(max(1, IMAGES_AT_ONCE.get(cameras.device.type, 1024) // views)):
            positions, colors = (
                repeat(column[row, :parts], "s n a -> (s v) n a", v=views)
                for column in (factors.positions, factors.colors)
            )
            pixel = lens.scale / (size * supersample / 2)
            rays = _cast_rays(positions, colors, cameras[row].flatten(0, 1), lens, pixel, greys)
            rays = rearrange(rays, "s (h i) (w j) -> i j s h w", i=supersample, j=supersample)
            sums = unpack(sum((ray for line in rays for ray in line), start=torch.zeros_like(rays[0, 0])))
            means = ((sums + supersample**2 // 2).float() / supersample**2).to(torch.uint8)  # to the nearest
            images[row] = rearrange(means, "(s v) c h w -> s v c h w", v=views)
    return images


def _cast_rays(
    positions: Float[Tensor, "s n 3"],
    colors: Float[Tensor, "s n 3"],
    cameras: Float[Tensor, "s 5"],
    lens: Lens,
    pixel: float,
    greys: Int[Tensor, " side"],
) -> Int[Tensor, "s side side"]:
    """Return the packed colour of each ray; one view an object.

    Args:
        pixel: distance between neighbouring rays, in the units of ``lens.scale``.
        greys: packed background of each row.
    """
    device, side = positions.device, len(greys)
    basis = camera_basis(cameras)
    basis = basis._replace(forward=_without_zeros(basis.forward))
    # Positions seen from where rays come from: the camera, or the plane through the origin that it looks at.
    if lens.kind == "perspective":
        positions = positions - cameras[:, None, :3]
        distance, faces_low = positions.abs().sum(dim=-1), positions > 0
        rectangles = _perspective_rectangles(positions, basis, pixel, side)
    else:
        positions = positions - _lateral_offset(cameras, basis)[:, None]
        distance = torch.einsum("sna,sa->sn", positions, basis.forward)
        faces_low = (basis.forward > 0)[:, None]
        rectangles = _orthographic_rectangles(positions, basis, pixel, side)

    farthest_first = distance.argsort(dim=1, descending=True)
    positions = positions.take_along_dim(farthest_first[..., None], dim=1)
    top, left = (place.take_along_dim(farthest_first, dim=1) for place in rectangles[:2])

    # A ray enters by the face that looks against it.
    light = face_light().to(device)
    facing = torch.where(faces_low, light[:, 0], light[:, 1])
    shades = pack((colors[:, :, None] * facing[..., None] * 255).round().long())
    shades = shades.take_along_dim(farthest_first[..., None], dim=1)

    canvas = repeat(greys, "h -> s (h w)", s=len(cameras), w=side).clone()
    slabs_of = _perspective_slabs if lens.kind == "perspective" else _orthographic_slabs
    for cube in range(positions.shape[1]):
        row = top[:, cube, None] + torch.arange(rectangles.tall, device=device)
        column = left[:, cube, None] + torch.arange(rectangles.wide, device=device)
        index = rearrange(row * side, "s h -> s h 1") + rearrange(column, "s w -> s 1 w")
        x = rearrange((column.float() + 0.5 - side / 2) * pixel, "s w -> s 1 w")
        y = rearrange((side / 2 - row.float() - 0.5) * pixel, "s h -> s 1 h")
        slabs = slabs_of(positions[:, cube], basis, x, y)

        x_enter, y_enter, z_enter = slabs.enter.unbind(dim=1)
        enter_yz = torch.maximum(y_enter, z_enter)
        enter = torch.maximum(x_enter, enter_yz)
        hit = enter < slabs.leave.amin(dim=1)
        if lens.kind == "perspective":
            hit &= enter > 0
        x_shade, y_shade, z_shade = rearrange(shades[:, cube], "s f -> f s 1 1")
        shade = torch.where(x_enter >= enter_yz, x_shade, torch.where(y_enter >= z_enter, y_shade, z_shade))
        index = rearrange(index, "s h w -> s (h w)")
        seen = torch.where(hit.flatten(1), shade.flatten(1), canvas.gather(1, index))
        canvas.scatter_(1, index, seen)
    return rearrange(canvas, "s (h w) -> s h w", h=side)


def _without_zeros(direction: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Replace components near zero by a tiny number of the same sign, to divide by."""
    tiny = torch.full_like(direction, 1e-6)
    return torch.where(direction.abs() < tiny, tiny.copysign(direction), direction)


def _lateral_offset(cameras: Float[Tensor, "s 5"], basis: Basis) -> Float[Tensor, "s 3"]:
    """Return the offset of the camera's axis from the origin: exactly zero for a camera that faces it."""
    position = cameras[:, :3]
    across, along = ((position * axis).sum(dim=-1, keepdim=True) for axis in (basis.right, basis.up))
    offset = across * basis.right + along * basis.up
    return torch.where(offset.norm(dim=-1, keepdim=True) < NEAR, torch.zeros_like(offset), offset)


def _orthographic_rectangles(positions: Float[Tensor, "s n 3"], basis: Basis, pixel: float, side: int) -> Rectangles:
    """Return the pixels whose parallel rays can hit a cube; without roll it is at most √2 edges wide and √3 tall."""
    wide = min(side, math.ceil(EDGE * math.sqrt(2) / pixel) + 2)
    tall = min(side, math.ceil(EDGE * math.sqrt(3) / pixel) + 2)
    across = torch.einsum("sna,sa->sn", positions, basis.right) / pixel + side / 2
    down = side / 2 - torch.einsum("sna,sa->sn", positions, basis.up) / pixel
    left = (across - wide / 2).floor().long().clamp(0, side - wide)
    top = (down - tall / 2).floor().long().clamp(0, side - tall)
    return Rectangles(top, left, tall, wide)


def _perspective_rectangles(positions: Float[Tensor, "s n 3"], basis: Basis, pixel: float, side: int) -> Rectangles:
    """Return the pixels whose rays through the camera can hit a cube: the bounds of its projected corners."""
    corners = EDGE / 2 * torch.tensor(list(product((-1.0, 1.0), repeat=3)), device=positions.device)
    corners = rearrange(positions, "s n a -> s n 1 a") + corners
    right, up, depth = (torch.einsum("snka,sa->snk", corners, axis) for axis in basis)
    depth = depth.clamp(min=NEAR) * pixel
    across, down = (right / depth + side / 2).clamp(0, side), (side / 2 - up / depth).clamp(0, side)
    wide, tall = (min(side, int((edge.amax(-1) - edge.amin(-1)).max()) + 3) for edge in (across, down))
    left = (across.amin(-1).floor().long() - 1).clamp(0, side - wide)
    top = (down.amin(-1).floor().long() - 1).clamp(0, side - tall)
    return Rectangles(top, left, tall, wide)


def _orthographic_slabs(
    position: Float[Tensor, "s 3"], basis: Basis, x: Float[Tensor, "s 1 w"], y: Float[Tensor, "s 1 h"]
) -> Slabs:
    """Intersect the slabs of a cube with rays that start at ``right * x + up * y`` and all go forward.

    Along each axis, the distance at which a ray passes the cube's centre is a term of its column plus one of its row.
    """
    forward = basis.forward[..., None]
    by_column = rearrange((position[..., None] - basis.right[..., None] * x) / forward, "s a w -> s a 1 w")
    by_row = rearrange(-basis.up[..., None] * y / forward, "s a h -> s a h 1")
    reach = rearrange(EDGE / 2 / forward.abs(), "s a 1 -> s a 1 1")
    return Slabs(by_column + (by_row - reach), by_column + (by_row + reach))


def _perspective_slabs(
    position: Float[Tensor, "s 3"], basis: Basis, x: Float[Tensor, "s 1 w"], y: Float[Tensor, "s 1 h"]
) -> Slabs:
    """Intersect the slabs of a cube with rays from the camera along ``forward + right * x + up * y``."""
    by_column = rearrange(basis.forward[..., None] + basis.right[..., None] * x, "s a w -> s a 1 w")
    direction = _without_zeros(by_column + rearrange(basis.up[..., None] * y, "s a h -> s a h 1"))
    middle, reach = position[..., None, None] / direction, EDGE / 2 / direction.abs()
    return Slabs(middle - reach, middle + reach)
