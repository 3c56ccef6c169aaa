"""Views of scenes from any camera: rendered truth, or the nearest given view, and predictions of a network."""

from collections.abc import Sequence
from functools import partial

import torch
from einops import rearrange, repeat
from jaxtyping import Float, UInt8
from torch import Tensor

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.sources.rendered import RENDERER_VERSION, RenderedScenes
from gqn_probe.data.stimuli.camera_paths import azimuth_orbit, cameras_facing
from gqn_probe.data.stimuli.ray_caster import render_objects
from gqn_probe.data.stimuli.scene_renderer import CAMERA_DISTANCE
from gqn_probe.data.store.prepared_store import PreparedStore
from gqn_probe.model import GQN
from gqn_probe.progress import progress
from gqn_probe.types import Render, Scenes, to_unit

ELEVATION = 25.0  # degrees


def find_renderer(data: SceneDataModule) -> Render | None:
    """Return the renderer of the data, or of the data that a store was prepared from; None for images alone."""
    source = data.source
    if not isinstance(source, RenderedScenes | PreparedStore):
        return None
    made = source.identity()
    if (made.get("kind"), made.get("renderer")) != ("shepard_metzler", RENDERER_VERSION) or data.lens.scale is None:
        return None
    return partial(render_objects, lens=data.lens, size=source.size or made["size"], background=made["background"])


def true_views(scenes: Scenes, raw: Float[Tensor, "v 5"], render: Render | None) -> UInt8[Tensor, "s v c h w"]:
    """Return each scene from each camera, rendered, or else the given view with the nearest camera direction."""
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
    """Return samples of the prior from each camera, in 0..1, on the CPU.

    Every camera uses the same random numbers, so that only the camera differs between views.
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
    """Return evenly spaced raw cameras on a circle of the sphere of training cameras."""
    return cameras_facing(azimuth_orbit(positions, elevation=ELEVATION), CAMERA_DISTANCE)


@torch.no_grad()
def orbit_pictures(
    gqn: GQN, data: SceneDataModule, *, counts: Sequence[int], objects: int, positions: int
) -> dict[str, UInt8[Tensor, "v h w c"]]:
    """Return truth and a prior sample by count for each camera, by title, with validation objects below each other.

    Counts that leave no view unseen are left out.
    """
    scenes = data.scenes("val", limit=objects)
    raw = orbit_cameras(positions)
    truth = true_views(scenes, raw, find_renderer(data))
    device = next(gqn.parameters()).device
    phi = gqn.encode(to_unit(scenes.frames).to(device), data.encode(scenes.cameras).to(device))
    size = truth.shape[-2], truth.shape[-1]
    seen = [gqn.aggregate(phi[:, :count]) for count in counts if count < scenes.views]
    imagined = [predicted_views(gqn, r, data.encode(raw), size=size)[:, :, 0] for r in seen]
    columns = {"truth": to_unit(truth)}
    columns |= {f"from {count} image{'s' * (count > 1)}": each for count, each in zip(counts, imagined, strict=False)}
    return {name: (255 * rearrange(e, "s v c h w -> v (s h) w c")).round().byte() for name, e in columns.items()}
