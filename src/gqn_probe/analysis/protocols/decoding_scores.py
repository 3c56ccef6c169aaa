"""Scores of decoded targets, and their differences: between counts, and from baselines."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

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
    """Score of a target at a count, as sums over each object's rows."""

    metric: str  # "accuracy" or "r2"
    sums: ClusterSums  # correct rows of rows; of r2 squared errors of squared deviations from the mean
    chance: float | None = None  # share of the most frequent class

    @property
    def interval(self) -> Interval:
        return proportion_interval(self.sums) if self.metric == "accuracy" else r2_interval(self.sums)

    @classmethod
    def of(
        cls,
        found: Classes | Values,
        table: Float[Tensor, "2 s"],
        tested: Bool[Tensor, " s"],
        encoders: Tensor | None,
    ) -> "Score":
        """Return the score of predictions from the sums of each object's rows, see ``sums``."""
        sums = ClusterSums(table[0], table[1], encoders)
        if isinstance(found, Classes):
            labels = found.labels[tested]
            return cls("accuracy", sums, float(labels.bincount().max()) / len(labels))
        return cls("r2", sums)

    def above(self, other: "Score") -> Interval:
        """Return the difference to another score on the same objects, with its paired interval."""
        if self.metric == "accuracy":
            return proportion_difference(self.sums, other.sums)
        return linear_combination((self.sums, other.sums), (-1, 1))


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
