"""Result files of a study: types of their rows, writers and readers; ``report/study_results.py`` reads a whole study.

The files and their columns are described in ``docs/results.md``.
"""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, get_type_hints

from gqn_probe.atomic_io import write_csv, write_text

Row = TypeVar("Row", bound=tuple)  # one of the rows below


class Interval(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Lower and upper bound; None where one object, or none, leaves them unknown."""
        return (None, None) if math.isnan(self.low) else (self.low, self.high)


def percent(share: float, digits: int = 1) -> str:
    """Return a share as in ``71.3 %``."""
    return f"{100 * share:.{digits}f} %"


class Result(NamedTuple):
    """One row of ``results.csv``: a metric of a probe under a control. Empty cells are ``""`` or None."""

    target: str
    input: str
    control: str
    probe: str
    seed: int | None  # None: all seeds together
    split: str
    count: int | None  # pyright: ignore[reportIncompatibleMethodOverride]  (None: all counts together)
    metric: str
    value: float
    low: float | None = None  # 95 % interval over objects
    high: float | None = None
    n: int | None = None  # rows scored
    train_objects: int | None = None  # a point of a learning curve; None: as many as the split gives
    angle: float | None = None  # degrees, of what an analysis measures by angle

    @classmethod
    def pooled(
        cls, case: Sequence[str], metric: str, found: Interval, *, n: int, count: int | None = None, split: str = "test"
    ) -> "Result":
        """Return the row of a value over all seeds; ``case`` is target, input, control and probe."""
        target, input, control, probe = case
        return cls(target, input, control, probe, None, split, count, metric, found.value, *found.bounds, n)


class CurvePoint(NamedTuple):
    """One row of ``curves.csv``: a metric after an epoch of a probe's training."""

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
    """One row of ``confusion.csv``: the number of rows of a true count with a predicted count."""

    input: str
    control: str
    probe: str
    true: int
    predicted: int
    n: int


class Similarity(NamedTuple):
    """One row of ``similarity.csv``: similarity of r at two counts."""

    metric: str
    count_a: int
    count_b: int
    value: float


class ObjectScore(NamedTuple):
    """One row of ``per_object.csv``: contribution of one object to a measure of the headline's probe and input.

    Over objects the measure is sum(score) / sum(weight); ``r2`` is 1 - sum(score) / sum(weight).
    """

    target: str
    input: str
    control: str
    probe: str
    count: int | None  # pyright: ignore[reportIncompatibleMethodOverride]  (None: all counts together)
    metric: str  # "accuracy", "r2" or "sample_mse"
    object: int  # index among the studied scenes
    score: float  # number of correct rows, or squared error
    weight: float  # number of rows; for r2 the squared deviation from the mean of training objects


class Difference(NamedTuple):
    """One row of ``differences.csv``: a measure of one setting minus that of the first, on the same objects."""

    setting: str
    first: str
    target: str
    metric: str  # "accuracy", "r2" or "sample_rmse"
    count: int | None  # pyright: ignore[reportIncompatibleMethodOverride]
    value: float
    low: float  # 95 % interval over objects, paired
    high: float
    objects: int  # number of different objects, over all seeds


class StudyPair(NamedTuple):
    """Two ``study`` folders of the same scenes and views, of a setting and of the first one."""

    own: Path
    first: Path
    scenes: str  # fingerprint of the data: studies of equal ones have the same objects


class Answer(NamedTuple):
    """One of the study's plain sentences, an item of ``answers`` in ``summary.json``."""

    question: str  # "Can the count be decoded?"
    text: str  # the sentence, with its number and interval in words
    value: float | None = None  # the number that the sentence rests on
    low: float | None = None  # 95 % interval
    high: float | None = None
    licence: str = ""  # the control or comparison that supports the sentence
    details: str = ""  # further numbers, in sentences


class Outcome(NamedTuple):
    """Results of a protocol: rows of the result files, and the headline with its sentences."""

    results: list[Result]
    curves: list[CurvePoint]
    confusion: list[ConfusionCell]
    similarity: list[Similarity]
    headline: Mapping[str, float | str]  # with the names of its probe and input
    answer: str
    convention: str
    notes: list[str]
    answers: Sequence[Answer] = ()
    objects: Sequence[ObjectScore] = ()


def write_study(folder: Path, outcome: Outcome, summary: Mapping[str, Any]) -> None:
    """Write the five tables and ``summary.json``, which also holds the entries of ``summary``."""
    write_rows(folder / "results.csv", Result, outcome.results)
    write_rows(folder / "curves.csv", CurvePoint, outcome.curves)
    write_rows(folder / "confusion.csv", ConfusionCell, outcome.confusion)
    write_rows(folder / "similarity.csv", Similarity, outcome.similarity)
    write_rows(folder / "per_object.csv", ObjectScore, outcome.objects)
    told = {
        "answer": outcome.answer,
        "answers": [answer._asdict() for answer in outcome.answers],
        "headline": dict(outcome.headline),
        "convention": outcome.convention,
        "notes": outcome.notes,
    }
    write_text(folder / "summary.json", json.dumps({**summary, **told}, indent=1))


class Findings(NamedTuple):
    """Results of an analysis other than the study of counts."""

    question: str  # the title of its page
    results: Sequence[Result]
    answers: Sequence[Answer]
    convention: str  # methods in a few sentences, a paragraph of the page
    notes: Sequence[str] = ()  # caveats, shown with the answers
    facts: Mapping[str, Any] = MappingProxyType({})  # further entries of ``summary.json``, which its figures read


def write_findings(folder: Path, analysis: str, findings: Findings, settings: Mapping[str, Any]) -> None:
    """Write ``results.csv`` and ``summary.json`` of an analysis."""
    write_rows(folder / "results.csv", Result, findings.results)
    told = {
        "analysis": analysis,
        "question": findings.question,
        "answers": [answer._asdict() for answer in findings.answers],
        "headline": {"probe": "", "input": ""},  # of the study of counts alone
        "convention": findings.convention,
        "notes": list(findings.notes),
        "settings": dict(settings),
    }
    write_text(folder / "summary.json", json.dumps({**findings.facts, **told}, indent=1))


def write_rows(path: Path, kind: type[Row], rows: Iterable[Row]) -> None:
    """Write a CSV with the fields of ``kind`` as columns."""
    write_csv(path, kind._fields, rows)  # type: ignore[attr-defined]  (every row is a NamedTuple)


def read_rows(path: Path, kind: type[Row]) -> tuple[Row, ...]:
    """Return the rows of a CSV as ``kind``, cells converted by its annotations, without rows whose value is NaN.

    A missing file has no rows.

    Raises:
        ValueError: a column without a default is missing, a row is truncated, or a cell is not a number.
    """
    if not path.is_file():
        return ()
    types, defaults = get_type_hints(kind), kind._field_defaults  # type: ignore[attr-defined]
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        missing = [name for name in types if name not in columns and name not in defaults]
        if missing:
            raise ValueError(f"{path} has no column {', '.join(missing)}; its columns are {reader.fieldnames}")
        present = [name for name in types if name in columns]
        rows = []
        for row in reader:
            if None in row.values():
                raise ValueError(f"{path} line {reader.line_num} is truncated: run probe.py again")
            try:
                cells = {name: _cell(row[name], types[name]) for name in present}
            except ValueError as error:
                raise ValueError(f"{path} line {reader.line_num}: {error}") from None
            if not math.isnan(cells.get("value") or 0.0):
                rows.append(kind(**cells))
        return tuple(rows)


def _cell(text: str, kind: Any) -> Any:
    """Return a cell's text as a value of its column's type."""
    if kind is str:
        return text
    if text == "":
        return math.nan if kind is float else None
    return int(float(text)) if int in (kind, *getattr(kind, "__args__", ())) else float(text)
