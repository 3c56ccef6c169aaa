"""The study's result files, read into typed rows: the only source of every figure, page and table.

The files and their columns are described in ``docs/results.md``.
"""

import csv
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

import numpy as np

Row = TypeVar("Row")  # one of the tuples below


class Result(NamedTuple):
    """One row of ``results.csv``: a metric of a probe under a control. Empty cells are ``""`` or None."""

    target: str
    input: str
    control: str
    probe: str
    seed: str  # empty: pooled over seeds
    split: str
    count: int | None  # None: over all counts
    metric: str
    value: float
    low: float | None = None  # 95 % interval over objects
    high: float | None = None
    n: int | None = None  # rows scored


class CurvePoint(NamedTuple):
    """One row of ``curves.csv``: a metric after an epoch of a probe's training."""

    target: str
    input: str
    control: str
    probe: str
    seed: str
    epoch: int
    split: str
    metric: str
    value: float


class Confusion(NamedTuple):
    """One row of ``confusion.csv``: how often a true count was read as another."""

    input: str
    control: str
    probe: str
    true: int
    predicted: int
    n: float


class Similarity(NamedTuple):
    """One row of ``similarity.csv``: how alike r is at two counts."""

    metric: str
    count_a: int
    count_b: int
    value: float


@dataclass(frozen=True)
class Study:
    """Everything a finished study left in its ``study`` folder; absent optional files are empty."""

    folder: Path
    results: tuple[Result, ...]
    curves: tuple[CurvePoint, ...]
    confusion: tuple[Confusion, ...]
    similarity: tuple[Similarity, ...]
    summary: dict[str, Any]
    provenance: dict[str, Any]
    pictures: dict[str, np.ndarray]  # the arrays of reconstructions.npz

    def series(
        self, metric: str, *, target: str = "count", control: str = "none", probe: str, input: str | None = None
    ) -> list[Result]:
        """A metric by count: one row a count, ascending; held-out rows, pooled over seeds; of the headline's input."""
        wanted = (target, self.input if input is None else input, control, probe, metric)
        found = [r for r in self.results if r.count is not None and _key(r) == wanted]
        return sorted(_held_out(found), key=lambda r: r.count or 0)

    def overall(
        self, metric: str, *, target: str = "count", control: str = "none", probe: str, input: str
    ) -> Result | None:
        """A metric over all counts, or None where the study did not measure it."""
        wanted = (target, input, control, probe, metric)
        found = _held_out([r for r in self.results if r.count is None and _key(r) == wanted])
        return found[0] if found else None

    @property
    def probe(self) -> str:
        """The probe that the headline is about."""
        return self.summary["headline"]["probe"]

    @property
    def input(self) -> str:
        """The input that the headline is about, and all that is said of no other."""
        return self.summary["headline"]["input"]

    @property
    def given(self) -> str:
        """The headline's input as people call it."""
        return "r" if self.input == "pooled" else self.input

    @property
    def headline_confusion(self) -> list[tuple[int, int, float]]:
        """True count, count read and number of rows, of the headline's probe and input."""
        wanted = (self.input, "none", self.probe)
        return [(c.true, c.predicted, c.n) for c in self.confusion if (c.input, c.control, c.probe) == wanted]

    @property
    def count_axis(self) -> str:
        """What a count is a number of; the original study counts the query too."""
        original = self.summary.get("settings", {}).get("protocol") == "original"
        return "images drawn, the query among them" if original else "context images"

    @property
    def chance(self) -> float | None:
        """The accuracy of a guess: as the summary says, else one over the number of counts."""
        stated = self.summary["headline"].get("chance")
        counts = {r.count for r in self.results if r.count is not None and r.target == "count"}
        return stated if stated is not None else (1 / len(counts) if counts else None)

    def label(self, name: str) -> str:
        """What people call a control, probe or target: the summary's label, else the name itself."""
        return str(self.summary.get("labels", {}).get(name, LABELS.get(name, name.replace("_", " "))))

    def control_label(self, control: str, input: str) -> str:
        """The control in words, with its input where that is neither pooled r nor what the control is called after."""
        return self.label(control) if input in ("pooled", control) else f"{self.label(control)}, {input}"


LABELS = {"none": "r as it is", "norm": "length of r only", "mlp": "MLP", "knn": "nearest neighbours"}


def read_study(folder: str | Path) -> Study:
    """Read the study in ``folder``, or in its ``study`` folder.

    Raises ValueError when there is no ``results.csv``, a file does not have its columns, or the summary no headline.
    """
    folder = Path(folder)
    home = next((f for f in (folder / "study", folder) if (f / "results.csv").is_file()), None)
    if home is None:
        raise ValueError(f"no study/results.csv in {folder}: give the folder that probe.py wrote")
    pictures = home / "reconstructions.npz"
    arrays = dict(np.load(pictures, allow_pickle=False)) if pictures.is_file() else {}
    return Study(
        folder=home,
        results=_rows(home / "results.csv", Result),
        curves=_rows(home / "curves.csv", CurvePoint),
        confusion=_rows(home / "confusion.csv", Confusion),
        similarity=_rows(home / "similarity.csv", Similarity),
        summary=_summary(home / "summary.json"),
        provenance=_json(home / "provenance.json") or _json(home.parent / "provenance.json"),
        pictures=arrays,
    )


def _rows(path: Path, kind: type[Row]) -> tuple[Row, ...]:
    """The rows of a CSV as ``kind``, cells converted by its annotations; no file gives no rows."""
    if not path.is_file():
        return ()
    types = get_type_hints(kind)
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in types if name not in (reader.fieldnames or [])]
        if missing:
            raise ValueError(f"{path} has no column {', '.join(missing)}; its columns are {reader.fieldnames}")
        cells = ({name: _cell(row[name], types[name]) for name in types} for row in reader)
        return tuple(kind(**row) for row in cells if not math.isnan(row.get("value", 0.0)))


def _cell(text: str, kind: Any) -> Any:
    if kind is str:
        return text
    if text == "":
        return math.nan if kind is float else None
    return int(float(text)) if int in (kind, *getattr(kind, "__args__", ())) else float(text)


def _summary(path: Path) -> dict[str, Any]:
    """The summary; without the headline's probe and input no number could be said to be of anything."""
    summary = _json(path)
    if not {"probe", "input"} <= summary.get("headline", {}).keys():
        raise ValueError(f"{path} does not say which probe and input the headline is of: run probe.py again")
    return summary


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}


def _key(r: Result) -> tuple[str, ...]:
    return (r.target, r.input, r.control, r.probe, r.metric)


def _held_out(rows: Iterable[Result]) -> list[Result]:
    """The rows of the split held out longest, pooled over seeds where the study pooled them."""
    rows = list(rows)
    for split in ("test", "validation", "train", ""):
        chosen = [r for r in rows if r.split == split]
        pooled = [r for r in chosen if not r.seed]
        if chosen:
            return pooled or [r for r in chosen if r.seed == chosen[0].seed]
    return []
