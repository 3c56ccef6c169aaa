"""Attribution of a prediction to its context views: the error added when one is left out of the sum."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from einops import reduce
from jaxtyping import Float, Int, UInt8
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
    pictures: "OccludedViews"  # of the first scenes


class OccludedViews(NamedTuple):
    """Context, query and prediction of some scenes."""

    views: UInt8[Tensor, "s i c h w"]
    truth: UInt8[Tensor, "s c h w"]
    drawn: UInt8[Tensor, "s c h w"]  # the prediction from all views


@torch.no_grad()
def occlude(study_inputs: StudyInputs, task: Task, scenes: int, *, shown: int = BATCH) -> Occlusion:
    """Predict each query from its context, whole and without each of its views, every latent at its prior's mean.

    Scenes are read a batch at a time, and pictures kept of the first ``shown`` alone.
    """
    maps = study_inputs.features(("representation",))["representation"]
    number = min(scenes, len(study_inputs.scenes))
    parts: list[Occlusion] = []
    with progress("leaving out views", number, "scenes") as advance:
        for rows in torch.arange(number).split(BATCH):
            part = _occlude_batch(study_inputs, maps, task, rows)
            few = max(0, min(shown - int(rows[0]), len(rows)))
            parts.append(part._replace(pictures=OccludedViews(*(each[:few] for each in part.pictures))))
            advance(len(rows))
    return Occlusion(
        change=torch.cat([part.change for part in parts]),
        angle=torch.cat([part.angle for part in parts]),
        error=torch.cat([part.error for part in parts]),
        pictures=OccludedViews(*(torch.cat(each) for each in zip(*(part.pictures for part in parts), strict=True))),
    )


def _occlude_batch(study_inputs: StudyInputs, maps: Tensor, task: Task, rows: Int[Tensor, " b"]) -> Occlusion:
    gqn, device = study_inputs.gqn.to(study_inputs.device), study_inputs.device
    some, every = study_inputs.scenes[rows], torch.arange(len(rows))
    views, query = task.context.views[rows], task.query[rows]
    truth = some.frames[every, query]
    cameras = study_inputs.encode_cameras(some.cameras[every, query]).to(device)

    def predict(chosen: Tensor) -> Tensor:
        selection = Selection(rows[:, None].expand_as(chosen), chosen)
        r = sum_views(maps, selection, aggregation=gqn.aggregation).to(device)
        size = truth.shape[-2], truth.shape[-1]
        return gqn.sample_from(r, cameras, deterministic=True, size=size).clamp(0, 1).float().cpu()

    def error(image: Tensor) -> Tensor:
        return reduce((image - to_unit(truth)) ** 2, "s c h w -> s", "mean")

    whole, count = predict(views), views.shape[1]
    without = [[i for i in range(count) if i != left_out] for left_out in range(count)]
    return Occlusion(
        change=torch.stack([error(predict(views[:, kept])) - error(whole) for kept in without], dim=1),
        angle=_angles(some.cameras[every[:, None], views, :3], some.cameras[every, query, :3]),
        error=error(whole),
        pictures=OccludedViews(some.frames[every[:, None], views], truth, (whole * 255).round().to(torch.uint8)),
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
