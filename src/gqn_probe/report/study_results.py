"""A finished study read from its result files: the only source of every figure, page, table and W&B run."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gqn_probe.results import Answer, ConfusionCell, CurvePoint, Result, Similarity, read_rows

LABELS = {
    "none": "r as it is",
    "norm": "length of r only",
    "untrained": "untrained network",
    "mlp": "MLP",
    "kernel_ridge": "nonlinear probe",
    "ridge": "ridge regression",
    "knn": "nearest neighbours",
    "pooled": "r pooled",
    "whole": "r whole",
}
DECODABILITY = {"accuracy": "accuracy", "r2": "variance explained (R²)"}  # of classes, of values


class Series(NamedTuple):
    """A metric by count, or by number of training objects, and what it is of."""

    label: str
    target: str
    metric: str
    rows: list[Result]


@dataclass(frozen=True)
class Study:
    """Everything a finished study left in its ``study`` folder; absent optional files are empty."""

    folder: Path
    results: tuple[Result, ...]
    curves: tuple[CurvePoint, ...]
    confusion: tuple[ConfusionCell, ...]
    similarity: tuple[Similarity, ...]
    summary: dict[str, Any]
    provenance: dict[str, Any]
    pictures: dict[str, np.ndarray]  # the arrays of reconstructions.npz

    def series(
        self, metric: str, *, target: str = "count", control: str = "none", probe: str, input: str | None = None
    ) -> list[Result]:
        """A metric by count: one row a count, ascending; held-out rows, pooled over seeds; of the headline's input."""
        wanted = (target, self.input if input is None else input, control, probe, metric)
        found = [r for r in self.results if r.count is not None and _key(r) == wanted and r.train_objects is None]
        return sorted(_held_out(found), key=lambda r: r.count or 0)

    def overall(
        self, metric: str, *, target: str = "count", control: str = "none", probe: str, input: str
    ) -> Result | None:
        """A metric over all counts, or None where the study did not measure it."""
        wanted = (target, input, control, probe, metric)
        found = [r for r in self.results if r.count is None and _key(r) == wanted and r.train_objects is None]
        return next(iter(_held_out(found)), None)

    def reconstruction_series(self, metric: str = "rmse") -> list[Result]:
        """An error of the predicted query by count."""
        return self.series(metric, target="reconstruction", control="", probe="", input="")

    def decodability_series(self) -> list[tuple[str, str, list[Result]]]:
        """For each property of the object or the views: its name, its metric, and that metric by count."""
        first = {target: self.lines_of(target)[:1] for target in self.object_targets}
        return [(t, line.metric, line.rows) for t, lines in first.items() for line in lines if line.label == self.given]

    def lines_of(self, target: str) -> list[Series]:
        """Scores of a property by count: of r first, then of r with other probes, other inputs, and baselines."""
        return self._lines(target, by_count=True)

    def learning_curves_of(self, target: str) -> list[Series]:
        """Scores of a property at the largest count, by number of training objects; as ``lines_of``."""
        return self._lines(target, by_count=False)

    def _lines(self, target: str, *, by_count: bool) -> list[Series]:
        rows = [r for r in self.results if r.target == target and r.metric in DECODABILITY and r.count is not None]
        rows = [r for r in rows if (r.train_objects is None) == by_count]
        if not by_count:
            rows = [r for r in rows if r.count == max(each.count or 0 for each in rows)]
        cases = dict.fromkeys((r.control, r.input, r.probe, r.metric) for r in rows)
        probe = next((p for control, input, p, _ in cases if (control, input) == ("none", self.input)), None)
        found = {}
        for case in cases:
            control, input, by, metric = case
            if by != probe and (control, input) != ("none", self.input):
                continue  # baselines are read by the probe that r is read by
            words = self.given if control == "none" and input == self.input else self.label(input)
            words = words if control == "none" else self.control_label(control, input)
            held = _held_out([r for r in rows if (r.control, r.input, r.probe, r.metric) == case])
            held.sort(key=lambda r: (r.count, r.train_objects or 0))
            found[case] = Series(words if by == probe else f"{words}, {self.label(by)}", target, metric, held)
        return sorted(found.values(), key=lambda line: line.label != self.given)  # stable: r comes first

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of an optional file ``NAME.npz`` of the study; empty where there is none."""
        return read_arrays(self.folder / f"{name}.npz")

    def control_rows(self) -> list[Result]:
        """Held-out accuracy over all counts, a row a control, input and probe; best first."""
        keys = dict.fromkeys(
            (r.control, r.probe, r.input)
            for r in self.results
            if (r.target, r.metric, r.count, r.train_objects) == ("count", "accuracy", None, None)
        )
        found = [self.overall("accuracy", control=c, probe=p, input=i) for c, p, i in keys]
        return sorted((r for r in found if r is not None), key=lambda r: -r.value)

    @property
    def analysis(self) -> str:
        """The name of the analysis that this is of; empty for the study of counts."""
        return str(self.summary.get("analysis", ""))

    @property
    def object_targets(self) -> list[str]:
        """The properties of the object and the views that a study of counts decoded, in the order of the file."""
        if self.analysis:
            return []
        return list(dict.fromkeys(r.target for r in self.results if r.target not in ("count", "reconstruction")))

    @property
    def answers(self) -> list[Answer]:
        """The plain sentences."""
        return [Answer(**each) for each in self.summary.get("answers", [])]

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
        return "r" if self.input in ("pooled", "whole") else self.input

    @property
    def headline_confusion(self) -> list[tuple[int, int, int]]:
        """True count, count read and number of rows, of the headline's probe and input."""
        wanted = (self.input, "none", self.probe)
        return [(c.true, c.predicted, c.n) for c in self.confusion if (c.input, c.control, c.probe) == wanted]

    @property
    def count_axis(self) -> str:
        """Label of the axis of counts; the original study counts the query too."""
        original = self.summary.get("settings", {}).get("protocol") == "original"
        return "images drawn, the query among them" if original else "context images"

    @property
    def chance(self) -> float | None:
        """The accuracy of a guess: as the summary says, else one over the number of counts."""
        stated = self.summary["headline"].get("chance")
        counts = {r.count for r in self.results if r.count is not None and r.target == "count"}
        return stated if stated is not None else (1 / len(counts) if counts else None)

    def label(self, name: str) -> str:
        """Label of a control, probe or target: the summary's, else the name itself."""
        return str(self.summary.get("labels", {}).get(name, LABELS.get(name, name.replace("_", " "))))

    def control_label(self, control: str, input: str) -> str:
        """The control in words, with its input where that is neither the headline's nor what the control is called."""
        return self.label(control) if input in (self.input, control) else f"{self.label(control)}, {self.label(input)}"


def read_study(folder: str | Path) -> Study:
    """Read the study in ``folder``, or in its ``study`` folder.

    Raises:
        ValueError: there is no ``results.csv``, a file does not have its columns, or the summary no headline.
    """
    folder = Path(folder)
    home = next((f for f in (folder / "study", folder) if (f / "results.csv").is_file()), None)
    if home is None:
        raise ValueError(f"no study/results.csv in {folder}: give the folder that probe.py wrote")
    return Study(
        folder=home,
        results=read_rows(home / "results.csv", Result),
        curves=read_rows(home / "curves.csv", CurvePoint),
        confusion=read_rows(home / "confusion.csv", ConfusionCell),
        similarity=read_rows(home / "similarity.csv", Similarity),
        summary=_summary(home / "summary.json"),
        provenance=_json(home / "provenance.json") or _json(home.parent / "provenance.json"),
        pictures=read_arrays(home / "reconstructions.npz"),
    )


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a ``.npz``; empty where there is none."""
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _summary(path: Path) -> dict[str, Any]:
    """The summary; without the headline's probe and input no number could be said to be of anything."""
    summary = _json(path)
    if not {"probe", "input"} <= summary.get("headline", {}).keys():
        raise ValueError(f"{path} does not say which probe and input the headline is of: run probe.py again")
    return summary


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _key(r: Result) -> tuple[str, ...]:
    return (r.target, r.input, r.control, r.probe, r.metric)


def _held_out(rows: Iterable[Result]) -> list[Result]:
    """The rows of the split held out longest, pooled over seeds where the study pooled them."""
    rows = list(rows)
    for split in ("test", "validation", "train", ""):
        chosen = [r for r in rows if r.split == split]
        pooled = [r for r in chosen if r.seed is None]
        if chosen:
            return pooled or [r for r in chosen if r.seed == chosen[0].seed]
    return []
