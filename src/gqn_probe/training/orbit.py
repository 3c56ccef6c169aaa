"""The camera on its way around held-out objects: the truth, beside what is imagined from a few views."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from gqn_probe.atomic_io import atomic_write
from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.sources.rendered import Rendered
from gqn_probe.data.stimuli.cameras import facing_origin
from gqn_probe.data.stimuli.ray_caster import render_objects
from gqn_probe.data.stimuli.scene_renderer import DISTANCE
from gqn_probe.model import GQN
from gqn_probe.types import to_unit

ELEVATION = math.radians(25)


def orbit_cameras(positions: int) -> Float[Tensor, "v 5"]:
    """Raw cameras at equal distances on one circle of the sphere on which training cameras lie."""
    azimuth = 2 * math.pi * torch.arange(positions) / positions
    height = torch.full_like(azimuth, math.sin(ELEVATION))
    ring = torch.stack([math.cos(ELEVATION) * azimuth.cos(), math.cos(ELEVATION) * azimuth.sin(), height], dim=-1)
    return facing_origin(DISTANCE * ring)


@torch.no_grad()
def orbit(
    gqn: GQN, data: SceneDataModule, *, counts: Sequence[int], objects: int, positions: int
) -> UInt8[Tensor, "v h w c"]:
    """One picture a camera position: a row an object; the truth, then a prior sample from each count of views.

    The latents are drawn alike in every picture, so that only the camera moves. The objects are those of the
    validation split; counts that leave no view unseen are left out.
    """
    assert isinstance(data.source, Rendered)
    scenes = data.scenes("val", limit=objects)
    assert scenes.factors is not None
    device = next(gqn.parameters()).device
    raw = repeat(orbit_cameras(positions), "v p -> s v p", s=len(scenes))
    truth = render_objects(
        scenes.factors, raw, lens=data.lens, size=data.source.size, background=data.source.background
    )
    columns = [to_unit(truth)]
    path = data.encode(raw).to(device)
    frames, cameras = to_unit(scenes.frames).to(device), data.encode(scenes.cameras).to(device)
    for count in (count for count in counts if count < scenes.views):
        representation = gqn.aggregate(gqn.encode(frames[:, :count], cameras[:, :count]))
        samples = []
        for camera in path.unbind(dim=1):
            torch.manual_seed(0)
            samples.append(
                gqn.sample_from(representation, camera, size=(truth.shape[-2], truth.shape[-1]))
                .float()
                .clamp(0, 1)
                .cpu()
            )
        columns.append(torch.stack(samples, dim=1))
    return (255 * rearrange(columns, "column s v c h w -> v (s h) (column w) c")).round().byte()


def save_gif(pictures: UInt8[Tensor, "v h w c"], path: Path, *, enlarge: int = 2, milliseconds: int = 120) -> None:
    """Write an endless animation."""
    large = [Image.fromarray(np.asarray(picture)) for picture in pictures]
    large = [image.resize((enlarge * image.width, enlarge * image.height), Image.Resampling.NEAREST) for image in large]
    with atomic_write(path) as draft:
        large[0].save(draft, save_all=True, append_images=large[1:], duration=milliseconds, loop=0)
