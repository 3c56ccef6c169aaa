"""The context-count study: what the jobs wrote, through every control and probe, to result files."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from gqn_probe.analysis.answer import Headline, summary
from gqn_probe.analysis.files import write_csv, write_text
from gqn_probe.analysis.intervals import Interval, ObjectBootstrap, WithinObjectPermutations
from gqn_probe.analysis.jobs import find_jobs, read_representations
from gqn_probe.analysis.material import Material
from gqn_probe.analysis.metrics import Readings
from gqn_probe.analysis.pictures import prediction_rows, write_pictures
from gqn_probe.analysis.probes import Reading, read_softmax
from gqn_probe.analysis.results import ConfusionCell, CurvePoint, Likeness, Result
from gqn_probe.analysis.rows import Case, RowStore
from gqn_probe.analysis.scoring import (
    case_of,
    confusion_rows,
    curve_rows,
    paired_difference,
    pooled_rows,
    seed_rows,
)
from gqn_probe.analysis.settings import HEADLINE, StudySettings

CONVENTION = "A count is the number of context images that r is formed from; the query is not counted."


def run_study(
    material: Material,
    settings: StudySettings,
    jobs: Sequence[Path],
    folder: Path,
    *,
    failed: Sequence[str] = (),
    commands: Sequence[str] = (),
) -> Path:
    """Study all counts whose jobs ended well; write the result files to ``folder``.

    Args:
        jobs: job folders, in any order; one without ``job.json`` counts as failed.
        failed: names of jobs that failed before they had a folder.
        commands: the command lines that led here, for the summary.

    Raises:
        ValueError: no job ended well, or there are too few objects for the splits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = find_jobs(jobs, failed)
    representations = read_representations(found)
    objects = len(representations)
    bootstrap = ObjectBootstrap(objects, resamples=settings.resamples, seed=settings.seed)
    results = list(prediction_rows(found, bootstrap))
    write_pictures(material, found, settings, folder)
    curves: list[CurvePoint] = []
    cells: list[ConfusionCell] = []
    headline, notes = None, []
    if len(found.counts) > 1:
        store = RowStore(material, found.counts, settings, folder / ".rows", representations)
        try:
            cases, notes = _cases(store, settings)
            readings = _readings(cases, settings, len(found.counts), material.device)
        finally:
            store.close()
        study = _score(readings, torch.tensor(found.counts), settings, bootstrap)
        results += study.results
        cells, curves, headline = study.cells, study.curves, study.headline
    write_csv(folder / "results.csv", Result._fields, results)
    write_csv(folder / "curves.csv", CurvePoint._fields, curves)
    write_csv(folder / "confusion.csv", ConfusionCell._fields, cells)
    write_csv(folder / "similarity.csv", Likeness._fields, [])
    content = summary(
        headline=headline,
        objects=objects,
        counts=list(found.counts),
        failed=list(found.failed),
        notes=notes,
        convention=CONVENTION,
        settings=asdict(settings),
        commands=list(commands),
        labels={name: settings.control[name].description for name in settings.chosen},
    )
    write_text(folder / "summary.json", json.dumps(content, indent=1))
    return folder


class Scored(NamedTuple):
    """What the count probes came to."""

    results: list[Result]
    curves: list[CurvePoint]
    cells: list[ConfusionCell]
    headline: Headline


def _cases(store: RowStore, settings: StudySettings) -> tuple[list[Case], list[str]]:
    """Every input under every control with every seed; a control that the stimuli cannot give becomes a note."""
    cases, notes = [], []
    for name in settings.chosen:
        own_input = settings.control[name].input
        for given in [own_input] if own_input else settings.inputs:
            try:
                cases += [store.case(given, name, seed) for seed in range(settings.seeds)]
            except ValueError as error:
                if name == "none":
                    raise
                notes.append(f"Control {name} was left out: {error}.")
    return cases, notes


def _readings(cases: list[Case], settings: StudySettings, classes: int, device: str) -> list[Reading]:
    return [
        reading
        for name, probe in settings.probes.items()
        for reading in read_softmax(cases, name, probe, classes=classes, counts=classes, device=device)
    ]


def _score(
    readings: list[Reading], counts: Int[Tensor, " k"], settings: StudySettings, bootstrap: ObjectBootstrap
) -> Scored:
    permutations = WithinObjectPermutations(
        bootstrap.draws.shape[1], len(counts), permutations=settings.permutations, seed=settings.seed
    )
    groups: dict[tuple[str, str, str, str], list[Reading]] = {}
    for reading in readings:
        groups.setdefault(case_of(reading), []).append(reading)
    results = [row for reading in readings for row in seed_rows(reading, counts)]
    cells: list[ConfusionCell] = []
    together: dict[tuple[str, str, str, str], Readings] = {}
    for name, members in groups.items():
        together[name] = Readings.together([member.test for member in members])
        results += pooled_rows(name, together[name], counts, bootstrap, permutations)
        cells += confusion_rows(name, together[name], counts.tolist())
    full, norm = (("count", settings.inputs[0], control, next(iter(settings.probes))) for control in HEADLINE)
    overall = {
        row[:4]: Interval(row.value, float(row.low), float(row.high))
        for row in results
        if row.metric == "accuracy" and row.seed == "" and row.count == ""
    }
    headline = Headline(
        accuracy=overall[full],
        norm_only=overall[norm],
        difference=paired_difference(together[full], together[norm], bootstrap),
        chance=1 / len(counts),
    )
    return Scored(results, [row for reading in readings for row in curve_rows(reading)], cells, headline)
