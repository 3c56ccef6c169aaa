"""Views of scenes from cameras of our choice: the truth where it can be rendered, and what a network predicts."""

from collections.abc import Sequence
from functools import partial

import torch
from einops import rearrange, repeat
from jaxtyping import Float, UInt8
from torch import Tensor

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.sources.rendered import RenderedScenes
from gqn_probe.data.stimuli.camera_paths import azimuth_orbit, cameras_facing
from gqn_probe.data.stimuli.ray_caster import render_objects
from gqn_probe.data.stimuli.scene_renderer import CAMERA_DISTANCE
from gqn_probe.model import GQN
from gqn_probe.progress import progress
from gqn_probe.types import Render, Scenes, to_unit

ELEVATION = 25.0  # degrees


def find_renderer(data: SceneDataModule) -> Render | None:
    """The renderer of the truth from any camera; None where scenes are photographs or others' renderings."""
    source = data.source
    if not isinstance(source, RenderedScenes):
        return None
    return partial(render_objects, lens=data.lens, size=source.size, background=source.background)


def true_views(scenes: Scenes, raw: Float[Tensor, "v 5"], render: Render | None) -> UInt8[Tensor, "s v c h w"]:
    """Each scene from each camera; where it cannot be rendered, the given view whose direction is nearest."""
    if render is not None and scenes.factors is not None:
        return render(scenes.factors, repeat(raw, "v p -> s v p", s=len(scenes)))
    given = torch.nn.functional.normalize(scenes.cameras[..., :3], dim=-1)
    nearest = (given @ torch.nn.functional.normalize(raw[..., :3], dim=-1).T).argmax(dim=1)
    return scenes.frames[torch.arange(len(scenes))[:, None], nearest]


@torch.no_grad()
def predicted_views(
    gqn: GQN,
    representation: Float[Tensor, "b d y x"],
    cameras: Float[Tensor, "v p"],
    *,
    size: tuple[int, int],
    samples: int = 1,
    seed: int = 0,
) -> Float[Tensor, "b v sample c h w"]:
    """Samples of the prior from each camera, in 0..1, on the CPU.

    The latents are drawn alike at every camera, so that between two views nothing but the camera changes.
    """
    device = representation.device
    drawn = []
    total = len(cameras) * len(representation) * samples
    with (
        torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]),
        progress("predicting", total, "views") as advance,
    ):
        for camera in cameras.to(device):
            torch.manual_seed(seed)
            asked = camera.expand(len(representation), -1)
            images = gqn.sample_from(representation, asked, size=size, samples=samples).float().clamp(0, 1).cpu()
            drawn.append(rearrange(images, "(b sample) c h w -> b sample c h w", sample=samples))
            advance(len(images))
    return torch.stack(drawn, dim=1)


def orbit_cameras(positions: int) -> Float[Tensor, "v 5"]:
    """Raw cameras at equal distances on one circle of the sphere on which training cameras lie."""
    return cameras_facing(azimuth_orbit(positions, elevation=ELEVATION), CAMERA_DISTANCE)


@torch.no_grad()
def orbit_pictures(
    gqn: GQN, data: SceneDataModule, *, counts: Sequence[int], objects: int, positions: int
) -> UInt8[Tensor, "v h w c"]:
    """One picture a camera position: a row an object; the truth, then a prior sample from each count of views.

    The objects are those of the validation split; counts that leave no view unseen are left out.
    """
    scenes = data.scenes("val", limit=objects)
    raw = orbit_cameras(positions)
    truth = true_views(scenes, raw, find_renderer(data))
    device = next(gqn.parameters()).device
    phi = gqn.encode(to_unit(scenes.frames).to(device), data.encode(scenes.cameras).to(device))
    size = truth.shape[-2], truth.shape[-1]
    seen = [gqn.aggregate(phi[:, :count]) for count in counts if count < scenes.views]
    imagined = [predicted_views(gqn, r, data.encode(raw), size=size)[:, :, 0] for r in seen]
    shown = rearrange([to_unit(truth), *imagined], "column s v c h w -> v (s h) (column w) c")
    return (255 * shown).round().byte()
