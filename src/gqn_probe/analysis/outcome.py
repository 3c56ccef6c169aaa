"""What a protocol comes to, before it is written to files."""

from typing import NamedTuple

from gqn_probe.analysis.results import ConfusionCell, CurvePoint, Likeness, Result


class Outcome(NamedTuple):
    """Rows of the result files, and the headline with the sentence that it is put in."""

    results: list[Result]
    curves: list[CurvePoint]
    confusion: list[ConfusionCell]
    similarity: list[Likeness]
    headline: dict[str, float | str]  # with the names of its probe and input
    answer: str
    convention: str
    notes: list[str]
