"""Scores of decoded targets, and their differences: between counts, and from baselines."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.ridge import Predicted
from gqn_probe.analysis.questions.targets import Classes, Values
from gqn_probe.analysis.statistics.intervals import (
    ClusterSums,
    linear_combination,
    proportion_difference,
    proportion_interval,
    r2_interval,
)
from gqn_probe.results import Interval

LINEAR, NONLINEAR = "ridge", "kernel_ridge"
BASELINES = ("pixels", "cameras", "untrained")  # controls that r is compared with, paired


class Source(NamedTuple):
    """Input and control that rows come from."""

    input: str
    control: str


class Score(NamedTuple):
    """Score of a target at a count, as sums over each object's rows; intervals are over what is held out together."""

    metric: str  # "accuracy" or "r2"
    sums: ClusterSums  # correct rows of rows; of r2 squared errors of squared deviations from the mean
    chance: float | None = None  # share of the most frequent class
    units: Int[Tensor, " s"] | None = None  # groups of objects that are held out together; None: single objects

    @property
    def clusters(self) -> ClusterSums:
        return self.sums if self.units is None else self.sums.merged(self.units)

    @property
    def interval(self) -> Interval:
        return proportion_interval(self.clusters) if self.metric == "accuracy" else r2_interval(self.clusters)

    def above(self, other: "Score") -> Interval:
        """Return the difference to another score on the same objects, with its paired interval."""
        if self.metric == "accuracy":
            return proportion_difference(self.clusters, other.clusters)
        return linear_combination((self.clusters, other.clusters), (-1, 1))


class Case(NamedTuple):
    """Decoding of one target from one source by one probe at one count."""

    target: str
    source: Source
    probe: str
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    train_objects: int | None = None  # of a learning curve; None for all training objects


class Scores(dict[Case, Score]):
    """Scores of the cases of a study of some counts, with comparisons between them."""

    def __init__(self, counts: Sequence[int]) -> None:
        super().__init__()
        self._counts = counts

    def baseline(self, case: Case, control: str) -> Score | None:
        """Return a baseline's score of the same target by the same probe, else by the linear one."""
        other = Source(case.source.input if control == "untrained" else control, control)
        own = self.get(case._replace(source=other))
        return own or self.get(case._replace(source=other, probe=LINEAR))

    def rise(self, case: Case) -> Interval | None:
        """Return the paired change from the smallest count with a score to the case's; None if it is the smallest."""
        first = self.counts(case)[0]
        return None if first == case.count else self[case].above(self[case._replace(count=first)])

    def counts(self, case: Case) -> list[int]:
        """Return the counts at which the target was decoded in the same way."""
        return [count for count in self._counts if case._replace(count=count) in self]


def score_rows(
    target: Classes | Values, predicted: Predicted, train: Int[Tensor, " a"], test: Int[Tensor, " test"]
) -> Float[Tensor, "2 test"]:
    """Return numerator and denominator of the score by test row.

    Of classes whether it is correct, and 1; of values its squared error, and that of the training mean.
    """
    values, left_out = predicted.values[test], predicted.left_out
    if isinstance(target, Classes):
        return torch.stack([values.argmax(dim=1) == target.labels[test], torch.ones(len(test))]).double()
    known, wanted = (target.values[rows].double() for rows in (train, test))
    if target.derive is not None:
        known, wanted, values, left_out = map(target.derive, (known, wanted, values, left_out))
        values = calibrated(left_out, known, values)
    return torch.stack([(values - wanted).square().sum(dim=1), (known.mean(dim=0) - wanted).square().sum(dim=1)])


def calibrated(
    left_out: Float[Tensor, "a scored"], known: Float[Tensor, "a scored"], values: Float[Tensor, "test scored"]
) -> Float[Tensor, "test scored"]:
    """Correct derived predictions, which shrinkage biases, by a line fitted to leave-one-out predictions.

    As for targets that are not derived, the mean is predicted where the gain over it is below one standard error.
    """
    middle, mean = left_out.mean(dim=0), known.mean(dim=0)
    slope = ((left_out - middle) * known).sum() / (left_out - middle).square().sum().clamp(min=1e-12)
    slope = slope.clamp(0, 1)
    errors = (mean + slope * (left_out - middle) - known).square().sum(dim=1)
    gain = (mean - known).square().sum(dim=1) - errors
    if gain.mean() <= gain.std() / len(gain) ** 0.5:
        return mean.expand_as(values)
    return mean + slope * (values - middle)
