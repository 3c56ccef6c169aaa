"""From predictions to result rows: scores of every seed, of all seeds together with intervals, and by count."""

from collections.abc import Iterator, Sequence

import torch
from einops import repeat
from jaxtyping import Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import CaseName
from gqn_probe.analysis.probes.linear import ProbeResult
from gqn_probe.analysis.probes.predictions import (
    ROW_METRICS,
    Predictions,
    adjacent_auc,
    confusion,
    per_object,
    row_scores,
    whole_scores,
)
from gqn_probe.analysis.statistics.bootstrap import Interval, ObjectBootstrap, WithinObjectPermutations, interval
from gqn_probe.results import ConfusionCell, CurvePoint, Result


def seed_rows(name: CaseName, result: ProbeResult, counts: Int[Tensor, " k"]) -> Iterator[Result]:
    """What one seed's probe scored on each part."""
    dataset = result.dataset
    scores = {
        "train": result.train,
        "validation": result.validation,
        "test": row_scores(result.test, counts).mean(dim=0),
    }
    for split, rows in zip(scores, dataset.split, strict=True):
        found = scores[split]
        if found is not None:
            for metric, value in zip(ROW_METRICS, found.tolist(), strict=True):
                yield Result(*name, dataset.seed, split, None, metric, value, n=len(rows))
    yield Result(*name, dataset.seed, "validation", None, "chosen_setting", result.setting)


def pooled_rows(
    name: CaseName,
    predictions: Predictions,
    counts: Int[Tensor, " k"],
    bootstrap: ObjectBootstrap,
    permutations: WithinObjectPermutations,
) -> Iterator[Result]:
    """The test rows of all seeds together, with intervals over objects, and accuracy a count."""
    objects = bootstrap.draws.shape[1]
    scores = row_scores(predictions, counts)
    rows = len(scores)
    here = torch.nn.functional.one_hot(predictions.labels, len(counts)).double()
    right = here * scores[:, :1]
    sums = per_object(torch.cat([scores, right], dim=1), predictions.groups, objects)
    numbers = per_object(torch.cat([torch.ones_like(scores), here], dim=1), predictions.groups, objects)
    found = bootstrap.intervals(sums, numbers)
    for metric, each in zip(ROW_METRICS, found, strict=False):
        yield Result.pooled(name, metric, each, n=rows)
    for count, each, n in zip(counts.tolist(), found[len(ROW_METRICS) :], here.sum(dim=0).tolist(), strict=True):
        if n:
            yield Result.pooled(name, "accuracy", each, n=int(n), count=count)
    for metric, value in whole_scores(predictions, counts).items():
        yield Result(*name, None, "test", None, metric, value, n=rows)
    if (table := _by_object(predictions, len(counts))) is not None:
        yield Result(*name, None, "test", None, "permutation_p", permutations.p_value(*table), n=rows)
    if len(predictions.labels.unique()) == len(counts):
        for count, area in zip(counts.tolist(), adjacent_auc(predictions), strict=False):
            yield Result(*name, None, "test", count, "adjacent_auc", area)


def share_right(predictions: Predictions, bootstrap: ObjectBootstrap) -> Interval:
    """The accuracy with its interval."""
    return bootstrap.intervals(*_right(predictions, bootstrap))[0]


def paired_difference(first: Predictions, second: Predictions, bootstrap: ObjectBootstrap) -> Interval:
    """The difference of two accuracies on the same objects, with its paired interval."""
    sums, rows = (
        torch.cat(both, dim=1) for both in zip(_right(first, bootstrap), _right(second, bootstrap), strict=True)
    )
    values = sums.sum(dim=0) / rows.sum(dim=0)
    resampled = bootstrap.means(sums, rows)
    return interval(float(values[0] - values[1]), resampled[:, 0] - resampled[:, 1])


def _right(predictions: Predictions, bootstrap: ObjectBootstrap) -> tuple[Tensor, Tensor]:
    """How many of each object's rows were read rightly, and how many there are; s 1 each."""
    right = (predictions.predicted == predictions.labels).double()[:, None]
    objects = bootstrap.draws.shape[1]
    return per_object(right, predictions.groups, objects), per_object(
        torch.ones_like(right), predictions.groups, objects
    )


def curve_rows(name: CaseName, result: ProbeResult) -> Iterator[CurvePoint]:
    if result.curves is None:
        return
    for column, values in result.curves._asdict().items():
        split, metric = column.split("_", 1)
        for epoch, value in enumerate(values.tolist(), start=1):
            yield CurvePoint(*name, result.dataset.seed, epoch, split, metric, value)


def confusion_rows(name: CaseName, predictions: Predictions, counts: Sequence[int]) -> Iterator[ConfusionCell]:
    for true, row in zip(counts, confusion(predictions).tolist(), strict=True):
        for predicted, n in zip(counts, row, strict=True):
            yield ConfusionCell(*name[1:], true, predicted, n)


def _by_object(predictions: Predictions, counts: int) -> tuple[Tensor, Tensor, Tensor] | None:
    """Labels and predictions as a table of objects and their counts, where every object has all its counts."""
    _, numbers = predictions.groups.unique(return_counts=True)
    if len(predictions.labels) % counts or (numbers % counts).any():
        return None
    order = predictions.groups.argsort(stable=True)
    labels, predicted, owners = (
        column[order].unflatten(0, (-1, counts))
        for column in (predictions.labels, predictions.predicted, predictions.groups)
    )
    complete = labels.sort(dim=1).values == repeat(torch.arange(counts), "k -> n k", n=len(labels))
    return (labels, predicted, owners[:, 0]) if complete.all() else None
