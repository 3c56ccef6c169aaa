"""Scenes of Shepard-Metzler objects: coloured cubes, seen by cameras on a sphere.

After the stimuli of Eslami et al. 2018, whose palette, light and lens are not published. Ours: cubes of edge 0.25,
ten hues at full saturation drawn independently a cube, a camera uniform on a sphere of radius 3, one directional light
with ambient, a plain or gradient background.
"""

from collections.abc import Sequence
from colorsys import hsv_to_rgb

import torch
from einops import rearrange
from jaxtyping import Int
from torch import Tensor

from gqn_probe.data.stimuli.cameras import check_lens, sphere_cameras
from gqn_probe.data.stimuli.counter_rng import mix, scene_keys, uniform
from gqn_probe.data.stimuli.ray_caster import EDGE, render_objects
from gqn_probe.data.stimuli.shapes import ShapeIds, draw_shapes
from gqn_probe.types import Factors, Lens, Scenes

CAMERA_DISTANCE = 3.0  # of the camera from the centre of the object
HUES = tuple(hsv_to_rgb(i / 10, 1.0, 1.0) for i in range(10))
DEFAULT_LENS = Lens("orthographic", scale=0.8, radius=0.8)  # cubes of one size, however many an object has


def check_parts(parts: int | Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of cubes that ``parts`` allows; ValueError unless they are positive and different."""
    numbers = (parts,) if isinstance(parts, int) else tuple(parts)
    whole = all(isinstance(number, int) and number >= 1 for number in numbers)
    if not numbers or not whole or len({*numbers}) < len(numbers):
        raise ValueError(f"parts={parts} is not a number of cubes: give 1 or more, or different ones such as [4,5,6]")
    return numbers


def draw_factors(keys: Int[Tensor, " s"], parts: Sequence[int], split: str | None) -> Factors:
    """Draw one random object a key, its number of cubes uniform among ``parts``; missing cubes are NaN.

    An object of five cubes does not depend on which other numbers are allowed.
    """
    number = torch.tensor(parts, device=keys.device)[(uniform(mix(keys + 4), 1)[:, 0] * len(parts)).long()]
    positions = torch.full((len(keys), max(parts), 3), torch.nan, device=keys.device)
    ids = ShapeIds(*(torch.empty_like(keys) for _ in ShapeIds._fields))
    for count in parts:
        rows = (number == count).nonzero()[:, 0]
        cells, names = draw_shapes(mix(keys[rows] + 1), count, split)
        centred = cells - cells.double().mean(dim=1, keepdim=True)
        positions[rows, :count] = (EDGE * centred).float()
        for column, name in zip(ids, names, strict=True):
            column[rows] = name
    hues = torch.tensor(HUES, dtype=torch.float32, device=keys.device)
    colors = hues[(uniform(mix(keys + 2), max(parts)) * len(HUES)).long()]
    colors = colors.where(~positions.isnan(), torch.nan)
    return Factors(ids.shape, ids.mirror_class, ids.chirality, number, positions, colors)


def render_batch(
    scenes: Int[Tensor, " s"],
    *,
    views: int,
    parts: int | Sequence[int],
    size: int,
    seed: int,
    stream: str = "",
    split: str | None = None,
    background: str = "plain",
    lens: Lens = DEFAULT_LENS,
) -> Scenes:
    """Render the scenes with the given ids on their device; see ``render_scenes``."""
    keys = scene_keys(scenes, seed=seed, stream=stream)
    factors = draw_factors(keys, check_parts(parts), split)
    draws = rearrange(uniform(mix(keys + 3), 2 * views), "s (v two) -> s v two", two=2)
    cameras = sphere_cameras(draws, CAMERA_DISTANCE).float()
    frames = render_objects(factors, cameras, lens=lens, size=size, background=background)
    return Scenes(frames, cameras, factors)


def render_scenes(
    n: int,
    views: int = 16,
    parts: int | Sequence[int] = 5,
    size: int = 64,
    seed: int = 0,
    device: str = "cpu",
    *,
    stream: str = "",
    split: str | None = None,
    background: str = "plain",
    lens: Lens | None = None,
) -> Scenes:
    """Render ``n`` scenes of one random object each, seen by ``views`` cameras in images of ``size`` pixels.

    Scene i depends on (seed, stream, split, i) alone.

    Args:
        parts: number of cubes, or several equally likely numbers; ``factors.parts`` says which was drawn.
        stream: name of an independent sequence of scenes.
        split: "train", "val" or "test" for the shapes of that split alone (no shape, nor its mirror image, is in two);
            None for any shape.
        lens: of all cameras; None for parallel rays and an image 1.6 world units wide.

    Raises:
        ValueError: a number is too small, or no shape of ``parts`` cubes is in the split.
    """
    for name, value in {"views": views, "size": size}.items():
        if value < 1:
            raise ValueError(f"cannot render scenes with {name}={value}: expected at least 1")
    rendered = render_batch(
        torch.arange(n, device=device),
        views=views,
        parts=parts,
        size=size,
        seed=seed,
        stream=stream,
        split=split,
        background=background,
        lens=check_lens(lens or DEFAULT_LENS),
    )
    factors = rendered.factors and Factors(*(column.cpu() for column in vars(rendered.factors).values()))
    return Scenes(rendered.frames.cpu(), rendered.cameras.cpu(), factors)
