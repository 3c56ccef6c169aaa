"""Shepard-Metzler objects as GQN sees them: coloured cubes, cameras on a sphere, a batched ray caster.

After the stimuli of Eslami et al. 2018, whose palette, light and lens are not published. Ours: cubes of edge 0.25,
ten hues at full saturation drawn independently a cube, an orthographic camera uniform on a sphere of radius 3 that
just holds the longest object, one directional light with ambient, a plain or gradient background.

A ray meets a cube by the slab test (Kay & Kajiya, SIGGRAPH 1986). Most rays miss most cubes, so each cube is tested
only against the rays of its bounding rectangle, and cubes are painted from the farthest to the nearest; for cells of
one grid seen in parallel rays that order is exact. Colours are summed as packed integers, so that the anti-aliased
bytes do not depend on the device's rounding.
"""

import math
from colorsys import hsv_to_rgb
from functools import cache

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gqn_probe.data.cameras import camera_basis, sphere_cameras
from gqn_probe.data.draws import mix, scene_keys, uniform
from gqn_probe.data.shapes import draw_shapes
from gqn_probe.types import Factors, Scenes

EDGE = 0.25
DISTANCE = 3.0
HUES = tuple(hsv_to_rgb(i / 10, 1.0, 1.0) for i in range(10))
AMBIENT = 0.45
LIGHT = (0.35, 0.55, 0.76)  # towards the light; three different numbers, so that all six faces differ
BACKGROUNDS = {"plain": (0.83, 0.83), "gradient": (0.94, 0.66)}  # grey at the top and at the bottom
CHUNK = {"cpu": 32}  # images rendered at once: as many as the cache holds; 1024 on other devices


def half_width(parts: int) -> float:
    """Half the width of the image in world units: a straight line of ``parts`` cubes fits in any direction."""
    return EDGE * math.sqrt((parts / 2) ** 2 + 0.5)


def background_grey(size: int, background: str) -> UInt8[Tensor, " {size}"]:
    """The background's grey level in each image row."""
    top, bottom = BACKGROUNDS[background]
    return (torch.linspace(top, bottom, size) * 255).round().to(torch.uint8)


@cache
def face_light() -> Float[Tensor, "3 2"]:
    """Brightness of the faces that look along -x, +x; -y, +y; -z, +z.

    The cosine is wrapped to 0..1 ("half Lambert"), so that faces turned from the light still differ.
    """
    light = torch.tensor(LIGHT, dtype=torch.float64)
    cosine = (light / light.norm())[:, None] * torch.tensor([-1.0, 1.0], dtype=torch.float64)
    return (AMBIENT + (1 - AMBIENT) * (0.5 + 0.5 * cosine)).float()


def pack(rgb: Int[Tensor, "*n 3"]) -> Int[Tensor, "*n"]:
    """Three bytes in one integer with room to sum 256 of them without a carry."""
    return (rgb[..., 0] << 32) | (rgb[..., 1] << 16) | rgb[..., 2]


def unpack(packed: Int[Tensor, "*n h w"]) -> Int[Tensor, "*n 3 h w"]:
    """The three sums."""
    return torch.stack([packed >> 32, (packed >> 16) & 0xFFFF, packed & 0xFFFF], dim=-3)


def render_objects(
    factors: Factors,
    cameras: Float[Tensor, "s v 5"],
    *,
    size: int,
    supersample: int = 2,
    background: str = "plain",
) -> UInt8[Tensor, "s v 3 {size} {size}"]:
    """Images of objects whose cubes lie on one grid, from ``supersample`` squared rays a pixel; on their device."""
    views = cameras.shape[1]
    chunk = CHUNK.get(cameras.device.type, 1024)
    positions = repeat(factors.positions, "s n a -> (s v) n a", v=views).split(chunk)
    colors = repeat(factors.colors, "s n a -> (s v) n a", v=views).split(chunk)
    greys = background_grey(size, background).to(cameras.device).long()
    greys = repeat(pack(repeat(greys, "h -> h c", c=3)), "h -> (h i)", i=supersample)
    images = []
    for position, color, camera in zip(positions, colors, cameras.flatten(0, 1).split(chunk), strict=True):
        rays = _cast(position, color, camera, greys)
        rays = rearrange(rays, "s (h i) (w j) -> i j s h w", i=supersample, j=supersample)
        sums = unpack(sum((ray for row in rays for ray in row), start=torch.zeros_like(rays[0, 0])))
        images.append(((sums + supersample**2 // 2).float() / supersample**2).to(torch.uint8))  # to the nearest
    return rearrange(torch.cat(images), "(s v) c h w -> s v c h w", v=views)


def _cast(
    positions: Float[Tensor, "s n 3"],
    colors: Float[Tensor, "s n 3"],
    cameras: Float[Tensor, "s 5"],
    greys: Int[Tensor, " side"],
) -> Int[Tensor, "s side side"]:
    """The packed colour that each ray of one view an object sees; ``greys`` is the background by row."""
    device, side = positions.device, len(greys)
    pixel = 2 * half_width(positions.shape[1]) / side
    basis = camera_basis(cameras)
    tiny = torch.full_like(basis.forward, 1e-6)
    forward = torch.where(basis.forward.abs() < tiny, tiny.copysign(basis.forward), basis.forward)

    order = torch.einsum("sna,sa->sn", positions, forward).argsort(dim=1, descending=True)[..., None]
    positions, colors = positions.take_along_dim(order, dim=1), colors.take_along_dim(order, dim=1)

    # The rays that can meet a cube: without roll, it is at most √2 edges wide and √3 tall. Row 0 is the top.
    wide = min(side, math.ceil(EDGE * math.sqrt(2) / pixel) + 2)
    tall = min(side, math.ceil(EDGE * math.sqrt(3) / pixel) + 2)
    across = torch.einsum("sna,sa->sn", positions, basis.right) / pixel + side / 2
    down = side / 2 - torch.einsum("sna,sa->sn", positions, basis.up) / pixel
    left = (across - wide / 2).floor().long().clamp(0, side - wide)
    top = (down - tall / 2).floor().long().clamp(0, side - tall)

    # A ray enters by the face that looks against it.
    light = face_light().to(device)
    facing = rearrange(torch.where(forward > 0, light[:, 0], light[:, 1]), "s f -> s 1 f 1")
    shades = pack((rearrange(colors, "s n c -> s n 1 c") * facing * 255).round().long())

    canvas = repeat(greys, "h -> s (h w)", s=len(cameras), w=side).clone()
    reach = rearrange(EDGE / 2 / forward.abs(), "s a -> s a 1 1")
    for cube in range(positions.shape[1]):
        row = top[:, cube, None] + torch.arange(tall, device=device)
        column = left[:, cube, None] + torch.arange(wide, device=device)
        index = rearrange(row * side, "s h -> s h 1") + rearrange(column, "s w -> s 1 w")

        # The ray of pixel (x, y) starts at right * x + up * y. In each axis it passes the cube's middle after a time
        # that is a sum of what its column and its row give, and enters and leaves the slab by ``reach`` around it.
        x = rearrange((column.float() + 0.5 - side / 2) * pixel, "s w -> s 1 w")
        y = rearrange((side / 2 - row.float() - 0.5) * pixel, "s h -> s 1 h")
        by_column = (positions[:, cube, :, None] - basis.right[..., None] * x) / forward[..., None]
        by_row = rearrange(-basis.up[..., None] * y / forward[..., None], "s a h -> s a h 1")
        by_column = rearrange(by_column, "s a w -> s a 1 w")
        leave = (by_column + (by_row + reach)).amin(dim=1)
        x_enter, y_enter, z_enter = (by_column + (by_row - reach)).unbind(dim=1)
        enter_yz = torch.maximum(y_enter, z_enter)
        hit = torch.maximum(x_enter, enter_yz) < leave

        x_shade, y_shade, z_shade = rearrange(shades[:, cube], "s f -> f s 1 1")
        shade = torch.where(x_enter >= enter_yz, x_shade, torch.where(y_enter >= z_enter, y_shade, z_shade))
        index = rearrange(index, "s h w -> s (h w)")
        seen = torch.where(hit.flatten(1), shade.flatten(1), canvas.gather(1, index))
        canvas.scatter_(1, index, seen)
    return rearrange(canvas, "s (h w) -> s h w", h=side)


def render_batch(
    scenes: Int[Tensor, " s"],
    *,
    views: int,
    parts: int,
    size: int,
    seed: int,
    stream: str = "",
    split: str | None = None,
    background: str = "plain",
) -> Scenes:
    """The scenes with these ids, rendered, and left, where the ids are; as ``render_scenes``."""
    keys = scene_keys(scenes, seed=seed, stream=stream)
    cells, ids = draw_shapes(mix(keys + 1), parts, split)
    centred = cells - cells.double().mean(dim=1, keepdim=True)
    hues = torch.tensor(HUES, dtype=torch.float32, device=scenes.device)
    colors = hues[(uniform(mix(keys + 2), parts) * len(HUES)).long()]
    draws = rearrange(uniform(mix(keys + 3), 2 * views), "s (v two) -> s v two", two=2)
    number = torch.full_like(ids.shape, parts)
    factors = Factors(*ids, number, (EDGE * centred).float(), colors)
    cameras = sphere_cameras(draws, DISTANCE).float()
    frames = render_objects(factors, cameras, size=size, background=background)
    return Scenes(frames, cameras, factors)


def render_scenes(
    n: int,
    views: int = 16,
    parts: int = 5,
    size: int = 64,
    seed: int = 0,
    device: str = "cpu",
    *,
    stream: str = "",
    split: str | None = None,
    first: int = 0,
    background: str = "plain",
) -> Scenes:
    """``n`` scenes of one random object each, seen by ``views`` cameras in images of ``size`` pixels.

    Scene i depends only on (seed, stream, split, first + i): the same call gives the same images, and another stream
    other scenes. ``split`` "train", "val" or "test" keeps to the shapes of that split, so that no shape, nor its
    mirror image, is in two splits; None takes any shape.

    Raises:
        ValueError: where a number is too small, or no shape of ``parts`` cubes is in the split.
    """
    for name, value in {"views": views, "parts": parts, "size": size}.items():
        if value < 1:
            raise ValueError(f"cannot render scenes with {name}={value}: expected at least 1")
    scenes = torch.arange(first, first + n, device=device)
    rendered = render_batch(
        scenes, views=views, parts=parts, size=size, seed=seed, stream=stream, split=split, background=background
    )
    factors = rendered.factors and Factors(*(column.cpu() for column in vars(rendered.factors).values()))
    return Scenes(rendered.frames.cpu(), rendered.cameras.cpu(), factors)
