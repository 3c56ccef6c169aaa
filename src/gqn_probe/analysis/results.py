"""The tidy rows that a study writes; ``docs/results.md`` describes them column by column."""

from collections.abc import Sequence
from typing import NamedTuple

from gqn_probe.analysis.intervals import Interval


class Result(NamedTuple):
    """One row of ``results.csv``. Empty seed: all seeds together; no count: all counts together."""

    target: str
    input: str
    control: str
    probe: str
    seed: int | str
    split: str
    count: int | str
    metric: str
    value: float
    low: float | str = ""
    high: float | str = ""
    n: int | str = ""

    @classmethod
    def pooled(
        cls, case: Sequence[str], metric: str, found: Interval, *, n: int, count: int | str = "", split: str = "test"
    ) -> "Result":
        """A value over all seeds; ``case`` is target, input, control and probe."""
        target, given, control, probe = case
        return cls(target, given, control, probe, "", split, count, metric, *found, n)


class CurvePoint(NamedTuple):
    """One row of ``curves.csv``."""

    target: str
    input: str
    control: str
    probe: str
    seed: int
    epoch: int
    split: str
    metric: str
    value: float


class ConfusionCell(NamedTuple):
    """One row of ``confusion.csv``, in counts."""

    input: str
    control: str
    probe: str
    true: int
    predicted: int
    n: int


class Likeness(NamedTuple):
    """One row of ``similarity.csv``."""

    metric: str
    count_a: int
    count_b: int
    value: float
