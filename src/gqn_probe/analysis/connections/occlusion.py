"""Attribution of a prediction to its context views: the error added when one is left out of the sum."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from einops import reduce
from jaxtyping import Float, UInt8
from torch import Tensor

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import Selection, Task, sum_views
from gqn_probe.analysis.statistics.intervals import cluster_sums, mean_interval
from gqn_probe.progress import progress
from gqn_probe.results import Result
from gqn_probe.types import to_unit

BATCH = 16  # scenes predicted at a time
ANGLES = (0, 30, 60, 90, 120, 150, 180)  # degrees between a view's camera and the query's, as bounds of bins
CHANGE, RANKED = "mse_change", "spearman"


class Occlusion(NamedTuple):
    """Effect of leaving out each view on the prediction of the query."""

    change: Float[Tensor, "s i"]  # of the mean squared error, 0..1 scale, when the view is left out
    angle: Float[Tensor, "s i"]  # degrees between the cameras of the view and the query, about the origin
    error: Float[Tensor, " s"]  # mean squared error with all views
    views: UInt8[Tensor, "s i c h w"]
    truth: UInt8[Tensor, "s c h w"]
    drawn: UInt8[Tensor, "s c h w"]  # the prediction from all views


@torch.no_grad()
def occlude(study_inputs: StudyInputs, task: Task, scenes: int) -> Occlusion:
    """Predict each query from its context, whole and without each of its views, every latent at its prior's mean."""
    gqn, device = study_inputs.gqn.to(study_inputs.device), study_inputs.device
    some = study_inputs.scenes[:scenes]
    maps = study_inputs.features(("representation",))["representation"]
    everyone = torch.arange(len(some))
    views, query = task.context.views[: len(some)], task.query[: len(some)]
    count = views.shape[1]
    truth = some.frames[everyone, query]
    cameras = study_inputs.encode_cameras(some.cameras[everyone, query])

    def predict(chosen: Tensor) -> Tensor:
        selection = Selection(everyone[:, None].expand_as(chosen), chosen)
        r, drawn = sum_views(maps, selection, aggregation=gqn.aggregation), []
        for part in everyone.split(BATCH):
            size = truth.shape[-2], truth.shape[-1]
            image = gqn.sample_from(r[part].to(device), cameras[part].to(device), deterministic=True, size=size)
            drawn.append(image.clamp(0, 1).float().cpu())
        return torch.cat(drawn)

    def error(image: Tensor) -> Tensor:
        return reduce((image - to_unit(truth)) ** 2, "s c h w -> s", "mean")

    with progress("leaving out views", count + 1, "views") as advance:
        whole = predict(views)
        advance(1)
        change = []
        for left_out in range(count):
            kept = [i for i in range(count) if i != left_out]
            change.append(error(predict(views[:, kept])) - error(whole))
            advance(1)
    return Occlusion(
        change=torch.stack(change, dim=1),
        angle=_angles(some.cameras[everyone[:, None], views, :3], some.cameras[everyone, query, :3]),
        error=error(whole),
        views=some.frames[everyone[:, None], views],
        truth=truth,
        drawn=(whole * 255).round().to(torch.uint8),
    )


def occlusion_rows(found: Occlusion, count: int) -> Iterator[Result]:
    """Yield the added error by angle, and its rank correlation with the angle within scenes; intervals over scenes."""
    scenes = len(found.change)
    units = torch.arange(scenes)[:, None].expand_as(found.change)
    for low, high in pairwise(ANGLES):
        there = (found.angle >= low) & (found.angle < high + (high == ANGLES[-1]))
        if int(there.any(dim=1).sum()) > 2:
            mean = mean_interval(cluster_sums(found.change[there], units[there], scenes))
            case = ("prediction", "view", f"{low} to {high}", "occlusion")
            yield Result.pooled(case, CHANGE, mean, n=int(there.sum()), count=count, split="")
    if found.change.shape[1] < 3:
        return
    # Spearman's, of values without ties; a scene whose error no view changes counts as 0
    ranks = [each.argsort(dim=1).argsort(dim=1).double() for each in (found.angle, found.change)]
    first, second = (each - each.mean(dim=1, keepdim=True) for each in ranks)
    kept = (first * second).sum(dim=1) / (first.norm(dim=1) * second.norm(dim=1))
    kept = torch.where(found.change.amax(dim=1) > found.change.amin(dim=1), kept, torch.zeros_like(kept))
    mean = mean_interval(cluster_sums(kept, torch.arange(scenes), scenes))
    yield Result.pooled(("prediction", "view", "angle", "occlusion"), RANKED, mean, n=scenes, count=count, split="")


def _angles(first: Float[Tensor, "s i 3"], second: Float[Tensor, "s 3"]) -> Float[Tensor, "s i"]:
    cosine = torch.nn.functional.cosine_similarity(first, second[:, None], dim=-1)
    return cosine.clamp(-1, 1).arccos().rad2deg()
