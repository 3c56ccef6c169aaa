"""Result rows from predictions: scores of each seed, pooled scores with intervals, scores by count."""

from collections.abc import Iterator, Sequence

import torch
from einops import repeat
from jaxtyping import Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import CaseName
from gqn_probe.analysis.probes.evaluation import ProbeResult
from gqn_probe.analysis.probes.predictions import (
    ROW_METRICS,
    Predictions,
    adjacent_auc,
    confusion,
    row_scores,
    whole_scores,
)
from gqn_probe.analysis.statistics.intervals import (
    ClusterSums,
    cluster_sums,
    intraclass_correlation,
    mean_interval,
    proportion_difference,
    proportion_interval,
)
from gqn_probe.analysis.statistics.permutations import WithinObjectPermutations
from gqn_probe.results import ConfusionCell, CurvePoint, Interval, Result

SHARES = ("accuracy", "within_one")  # of ``ROW_METRICS``


def seed_rows(name: CaseName, result: ProbeResult, counts: Int[Tensor, " k"]) -> Iterator[Result]:
    """Yield the scores of one seed's probe on each part of its split."""
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
    units: Int[Tensor, " s"],
    permutations: WithinObjectPermutations,
) -> Iterator[Result]:
    """Yield scores of all seeds' test rows with clustered intervals, over all counts and by count.

    Args:
        units: the cluster of each object: itself, its mixing group, or its shape.
    """
    scores, rows = row_scores(predictions, counts), len(predictions.labels)
    for column, metric in enumerate(ROW_METRICS):
        if metric in SHARES:
            found = proportion_interval(_share_sums(scores[:, column], predictions, units))
        else:
            found = mean_interval(_sums(scores[:, column], predictions, units))
        yield Result.pooled(name, metric, found, n=rows)
    for label, count in enumerate(counts.tolist()):
        here = predictions.labels == label
        if here.any():
            some = Predictions(*(column[here] for column in predictions))
            found = proportion_interval(correct_by_unit(some, units))
            yield Result.pooled(name, "accuracy", found, n=len(some.labels), count=count)
    for metric, value in whole_scores(predictions, counts).items():
        yield Result(*name, None, "test", None, metric, value, n=rows)
    if (table := _by_object(predictions, len(counts))) is not None:
        p = permutations.p_value(*table, units[table[2]])
        yield Result(*name, None, "test", None, "permutation_p", p, n=rows)
    if len(predictions.labels.unique()) == len(counts):
        for count, area in zip(counts.tolist(), adjacent_auc(predictions), strict=False):
            yield Result(*name, None, "test", count, "adjacent_auc", area)


def correct_by_unit(predictions: Predictions, units: Int[Tensor, " s"]) -> ClusterSums:
    """Return the number of correct rows of each cluster."""
    return _share_sums((predictions.predicted == predictions.labels).double(), predictions, units)


def paired_difference(first: Predictions, second: Predictions, units: Int[Tensor, " s"]) -> Interval:
    """Return the difference of two accuracies on the same objects, with its paired interval."""
    return proportion_difference(correct_by_unit(first, units), correct_by_unit(second, units))


def _share_sums(right: Tensor, predictions: Predictions, units: Int[Tensor, " s"]) -> ClusterSums:
    """Return correct rows by cluster; if all are correct, with the intraclass correlation of margins."""
    found = _sums(right, predictions, units)
    if not right.all():
        return found
    return found._replace(icc=intraclass_correlation(predictions.margin, units[predictions.groups], predictions.labels))


def _sums(scores: Tensor, predictions: Predictions, units: Int[Tensor, " s"]) -> ClusterSums:
    of_rows, total = units[predictions.groups], int(units.max()) + 1
    kinds = int(predictions.encoders.max()) + 1
    if kinds == 1:
        return cluster_sums(scores, of_rows, total)
    # an object under another encoder is another cluster
    found = cluster_sums(scores, of_rows * kinds + predictions.encoders, total * kinds)
    nonempty = found.nonempty()
    return ClusterSums(found.sums[nonempty], found.rows[nonempty], (torch.arange(total * kinds) % kinds)[nonempty])


def curve_rows(name: CaseName, result: ProbeResult) -> Iterator[CurvePoint]:
    """Yield the learning curves of a probe that has them."""
    if result.curves is None:
        return
    for column, values in result.curves._asdict().items():
        split, metric = column.split("_", 1)
        for epoch, value in enumerate(values.tolist(), start=1):
            yield CurvePoint(*name, result.dataset.seed, epoch, split, metric, value)


def confusion_rows(name: CaseName, predictions: Predictions, counts: Sequence[int]) -> Iterator[ConfusionCell]:
    """Yield the confusion matrix: test rows by true and predicted count."""
    for true, row in zip(counts, confusion(predictions).tolist(), strict=True):
        for predicted, n in zip(counts, row, strict=True):
            yield ConfusionCell(name.input, name.control, name.probe, true, predicted, n)


def _by_object(predictions: Predictions, counts: int) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return labels, predictions (objects x counts) and objects; None unless every object has all counts."""
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
