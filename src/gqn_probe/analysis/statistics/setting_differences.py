"""Paired differences between studies of several settings, such as checkpoints, from per-object scores."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from gqn_probe.analysis.statistics.intervals import ClusterSums, linear_combination, proportion_difference
from gqn_probe.results import Difference, Interval, ObjectScore, read_rows

GREY_LEVELS = 255
Measure = tuple[str, str, int | None]  # target, metric and count
Scores = dict[Measure, dict[int, tuple[float, float]]]  # score and weight of each object


def object_rows(
    case: tuple[str, str, str, str], count: int | None, metric: str, sums: ClusterSums
) -> Iterator[ObjectScore]:
    """Yield the rows of ``per_object.csv`` of a case (target, input, control, probe), one an object."""
    for row in sums.nonempty().nonzero()[:, 0].tolist():
        yield ObjectScore(*case, count, metric, row, float(sums.sums[row]), float(sums.rows[row]))


def object_differences(pairs: Mapping[str, Sequence[tuple[Path, Path]]], first: str) -> Iterator[Difference]:
    """Yield the difference of each setting to the first in every shared measure, on the objects scored in both.

    Args:
        pairs: by setting, pairs of ``study`` folders (the setting's, the first's) of the same scenes and views; several
            pairs, such as of several seeds, are pooled.
    """
    for setting, folders in pairs.items():
        studies = [(_scores(own), _scores(other)) for own, other in folders]
        measures = [name for name in studies[0][0] if all(name in each for pair in studies for each in pair)]
        for target, metric, count in measures:
            rows = [
                (*own[target, metric, count][key], *other[target, metric, count][key])
                for own, other in studies
                for key in own[target, metric, count].keys() & other[target, metric, count].keys()
            ]
            if len(rows) > 1:
                score, weight, of_first, weight_of_first = torch.tensor(rows, dtype=torch.float64).unbind(dim=1)
                found = _difference(metric, ClusterSums(score, weight), ClusterSums(of_first, weight_of_first))
                named = "sample_rmse" if metric == "sample_mse" else metric
                yield Difference(setting, first, target, named, count, *found, len(rows))


def _difference(metric: str, own: ClusterSums, other: ClusterSums) -> Interval:
    if metric == "accuracy":
        return proportion_difference(own, other)
    if metric == "r2":
        return linear_combination((own, other), (-1, 1))
    roots = [GREY_LEVELS * max(each.value, 1e-12) ** 0.5 for each in (own, other)]
    slopes = [GREY_LEVELS**2 / (2 * root) for root in roots]  # delta method
    value, low, high = linear_combination((own, other), (slopes[0], -slopes[1]))
    middle = roots[0] - roots[1]
    return Interval(middle, middle + low - value, middle + high - value)


def _scores(folder: Path) -> Scores:
    found: Scores = {}
    for row in read_rows(folder / "per_object.csv", ObjectScore):
        found.setdefault((row.target, row.metric, row.count), {})[row.object] = row.score, row.weight
    return found
