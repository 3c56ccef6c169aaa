"""The camera on its way around held-out objects: the truth, beside what is imagined from a few views."""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.stimuli.camera_paths import azimuth_orbit, cameras_facing
from gqn_probe.data.stimuli.scene_renderer import DISTANCE
from gqn_probe.model import GQN
from gqn_probe.training.novel_views import find_renderer, predicted_views, true_views
from gqn_probe.types import to_unit

ELEVATION = 25.0  # degrees


def orbit_cameras(positions: int) -> Float[Tensor, "v 5"]:
    """Raw cameras at equal distances on one circle of the sphere on which training cameras lie."""
    return cameras_facing(azimuth_orbit(positions, elevation=ELEVATION), DISTANCE)


@torch.no_grad()
def orbit(
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
