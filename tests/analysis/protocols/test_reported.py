"""What the report makes of real studies: of the headline's probe and input, whatever the order of settings."""

import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import wandb
from einops import rearrange
from rich.console import Console
from scripts import ROOT

from gqn_probe.analysis import StudyInputs, StudySettings, run_count, run_study
from gqn_probe.analysis.inputs.view_selection import original_task
from gqn_probe.analysis.probes.knn import NearestNeighbours
from gqn_probe.analysis.probes.linear import Linear
from gqn_probe.analysis.probes.perceptron import Perceptron
from gqn_probe.analysis.probes.ridge import Ridge
from gqn_probe.report.figure_registry import draw_figures
from gqn_probe.report.figures.predicted_views import one_query, reconstructions
from gqn_probe.report.page import build_report
from gqn_probe.report.study_results import read_study
from gqn_probe.report.terminal import print_results
from gqn_probe.tracking import log_results
from gqn_probe.tracking.wandb_run import RunLogger
from gqn_probe.types import Scenes

pytestmark = pytest.mark.slow  # a study each

PROBES = {
    "linear": Linear(epochs=3, l2=(1e-3,)),
    "ridge": Ridge(l2=(1e-2,)),
    "knn": NearestNeighbours(neighbours=(1, 3), largest=100),
    "mlp": Perceptron(epochs=2, batch_size=32, learning_rate=1e-3, l2=(0.0,), hidden=8, standardize=False),
}
Run = Callable[..., Path]


@pytest.fixture
def run(study_inputs: StudyInputs, settings: StudySettings, tmp_path: Path) -> Run:
    """A study of few counts and controls, in a folder as ``probe.py`` leaves it."""

    def make(probes: Sequence[str], inputs: Sequence[str], **changes: object) -> Path:
        chosen = replace(
            settings,
            seeds=2,
            probes={name: PROBES[name] for name in probes},
            inputs=inputs,
            targets=("count", "color"),
            controls=("transfer", "pixels", "direction", "untrained"),
            **changes,
        )
        jobs = [run_count(study_inputs, count, chosen, tmp_path / f"count-{count}") for count in (2, 3, 4)]
        run_study(study_inputs, chosen, jobs, tmp_path / "study")
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("probes", "inputs", "headline", "subject"),
    [
        (["ridge", "linear"], ["layer.conv4", "pooled"], ("linear", "layer.conv4"), "layer.conv4"),
        (["knn", "ridge"], ["pooled", "layer.conv4"], ("knn", "pooled"), "r averaged over positions"),
    ],
)
def test_everything_is_of_the_headlines_probe_and_input(
    run: Run, probes: list[str], inputs: list[str], headline: tuple[str, str], subject: str
) -> None:
    folder = run(probes, inputs)
    study = read_study(folder)
    assert (study.probe, study.input) == headline
    whole = study.overall("accuracy", probe=headline[0], input=headline[1])
    assert whole is not None
    assert study.summary["headline"]["accuracy"] == whole.value
    answer = study.summary["answer"]
    reached = rf"from {re.escape(subject)} with an accuracy of ([\d.]+) % \("
    found = re.match(rf"Yes\. The {headline[0]} probe predicts the number of images {reached}", answer)
    assert found is not None
    assert float(found[1]) == pytest.approx(100 * whole.value, abs=0.05)
    text = build_report(study, draw_figures(study)).read_text(encoding="utf-8")
    for figure in ("accuracy-by-count", "confusion", "decodability"):
        assert f'id="{figure}-figure_1"' in text
    assert all(escape(each.text) in re.sub("</?span>", "", text) for each in study.answers)
    printed = io.StringIO()
    print_results(study, console=Console(file=printed, width=80))
    first = study.series("accuracy", probe=headline[0], input=headline[1])[0]
    assert any(f"{first.value:.3f}" in line.split() for line in printed.getvalue().splitlines())


def test_wandb_has_each_confusion_once(run: Run) -> None:
    logger = RunLogger(experiment=Mock(spec=wandb.Run, summary=Mock()))
    log_results.log_study([logger], read_study(run(["ridge", "linear"], ["pooled", "layer.conv4"])))
    logged = [call.args[0] for call in logger.experiment.log.call_args_list]
    assert [each["context"] for each in logged if "accuracy/headline" in each] == [2, 3, 4]
    assert logger.experiment.summary.update.call_args.args[0]["headline/probe"] == "linear"
    (chart,) = (each["confusion"] for each in logged if "confusion" in each)
    assert sorted((true, predicted) for true, predicted, _ in chart.table.data) == [
        (true, predicted) for true in "234" for predicted in "234"
    ]
    assert sum(n for *_, n in chart.table.data) == pytest.approx(3 * 10)  # two fifths of 24 objects


def test_the_original_protocol_shows_each_label_its_own_query(run: Run, rendered: Scenes) -> None:
    """Whatever the classifier and the inputs are called in the settings: its rows are of pooled r."""
    folder = run(["mlp"], ["layer.conv4"], protocol="original")
    study = read_study(folder)
    assert study.overall("accuracy", probe=study.probe, input=study.input) is not None
    frames = rearrange(rendered.frames, "s v c h w -> s v h w c").numpy()
    for label in (2, 3, 4):
        query = original_task(24, 6, label, 0).query.numpy()[:2]
        np.testing.assert_array_equal(study.pictures[f"truth_{label}"], frames[np.arange(2), query])
    assert not one_query(study)
    assert reconstructions(study) is not None


def test_the_study_asks_every_count_for_one_query(run: Run) -> None:
    study = read_study(run(["linear"], ["pooled"]))
    assert one_query(study)
    assert study.pictures["context"].shape == (2, 4, 16, 16, 3)
    seen = {image.tobytes() for image in study.pictures["context"][0]}
    assert study.pictures["truth_4"][0].tobytes() not in seen


def test_the_summary_is_what_its_description_says(run: Run) -> None:
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `summary\.json` \| (.*) \|$", text, re.MULTILINE)
    summary = read_study(run(["linear"], ["pooled"])).summary
    headline = {name for name in summary["headline"] if not name.endswith(("_low", "_high"))}
    assert set(re.findall(r"`(\w+)`", row)) == summary.keys() | headline | {"_low", "_high"}


def test_one_count_alone_is_reported(study_inputs: StudyInputs, settings: StudySettings, tmp_path: Path) -> None:
    jobs = [run_count(study_inputs, 3, settings, tmp_path / "count-3")]
    run_study(study_inputs, settings, jobs, tmp_path / "study")
    study = read_study(tmp_path)
    assert "two or more" in build_report(study, draw_figures(study)).read_text(encoding="utf-8")
    assert json.loads((tmp_path / "study" / "summary.json").read_text())["headline"] == {
        "probe": "linear",
        "input": "pooled",
    }
