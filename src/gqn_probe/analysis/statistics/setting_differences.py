"""Paired differences between studies of several settings, such as checkpoints, from per-object scores."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gqn_probe.analysis.statistics.intervals import ClusterSums, linear_combination, proportion_difference
from gqn_probe.results import Difference, Interval, ObjectScore, StudyPair, read_rows

GREY_LEVELS = 255
Measure = tuple[str, str, int | None]  # target, metric and count
Scores = dict[Measure, dict[int, tuple[float, float]]]  # score and weight of each object


def object_rows(
    case: tuple[str, str, str, str], count: int | None, metric: str, sums: ClusterSums
) -> Iterator[ObjectScore]:
    """Yield the rows of ``per_object.csv`` of a case (target, input, control, probe), one an object."""
    for row in sums.nonempty().nonzero()[:, 0].tolist():
        yield ObjectScore(*case, count, metric, row, float(sums.sums[row]), float(sums.rows[row]))


def object_differences(pairs: Mapping[str, Sequence[StudyPair]], first: str) -> Iterator[Difference]:
    """Yield the difference of each setting to the first in every shared measure, on the objects scored in both.

    Args:
        pairs: by setting; several pairs, such as of several seeds, are pooled, an object that occurs in several as one.
        first: name of the first setting.
    """
    for setting, paired in pairs.items():
        studies = [(pair.scenes, _scores(pair.own), _scores(pair.first)) for pair in paired]
        measures = [name for name in studies[0][1] if all(name in each for _, *both in studies for each in both)]
        for measure in measures:
            rows: dict[tuple[str, int], Tensor] = defaultdict(lambda: torch.zeros(4, dtype=torch.float64))
            for scenes, own, other in studies:
                for key in own[measure].keys() & other[measure].keys():
                    rows[scenes, key] += torch.tensor([*own[measure][key], *other[measure][key]], dtype=torch.float64)
            if len(rows) > 1:
                target, metric, count = measure
                score, weight, of_first, weight_of_first = torch.stack([*rows.values()], dim=1)
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
