"""Ablation of r where it is known which channel tells what, and occlusion where it is known which view counts."""

from pathlib import Path

import pytest
import torch

from gqn_probe.analysis.connections.ablation import (
    SAME_NORM,
    SAME_NUMBER,
    TOP,
    ablate,
    ablations,
    decode_counts,
    decode_target,
    split_by_unit,
    unit_usage,
    unit_variance,
)
from gqn_probe.analysis.connections.connections_analysis import Connections
from gqn_probe.analysis.connections.occlusion import OccludedViews, Occlusion, occlude, occlusion_rows
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import nested_task
from gqn_probe.analysis.probes.ridge import linear_kernel
from gqn_probe.analysis.questions.targets import Values
from gqn_probe.report.figure_registry import draw_figures
from gqn_probe.report.page import build_report
from gqn_probe.report.study_results import read_study
from gqn_probe.results import write_findings

OBJECTS, COUNTS, STRENGTHS = 40, (1, 2, 3), (1e-3, 1e-1, 10.0)
GROUPS = torch.arange(3).repeat(OBJECTS)


@pytest.fixture
def rows() -> torch.Tensor:
    """Channel 0 tells the count, channel 1 what the object is, channels 2 to 7 nothing; two positions each."""
    torch.manual_seed(0)
    found = torch.randn(OBJECTS * 3, 8, 2)
    found[:, 0] = GROUPS[:, None] + 0.1 * found[:, 0]
    found[:, 1] = torch.linspace(-1, 1, OBJECTS).repeat_interleave(3)[:, None] + 0.05 * found[:, 1]
    return found


def test_probes_use_the_channel_that_tells(rows):
    assert unit_usage(rows, GROUPS[:, None].float()).argmax() == 0
    assert unit_usage(rows[GROUPS == 2], torch.linspace(-1, 1, OBJECTS)[:, None]).argmax() == 1


def test_without_its_channel_the_count_is_lost_and_the_object_is_not(rows):
    truth = Values(torch.linspace(-1, 1, OBJECTS)[:, None])
    read = {}
    for name, units in (("whole", []), ("count", [0]), ("object", [1])):
        left = ablate(rows, torch.tensor(units, dtype=torch.int64)).flatten(start_dim=1)
        count = decode_counts(linear_kernel(left), OBJECTS, COUNTS, STRENGTHS, seed=0)
        read[name] = (count.value, decode_target(linear_kernel(left[GROUPS == 2]), truth, STRENGTHS, seed=0)[1].value)
    assert read["whole"][0] > 0.95
    assert read["count"][0] < 0.5
    assert read["count"][1] > 0.9
    assert read["object"][0] > 0.95
    assert read["object"][1] < 0.2


def test_random_controls_take_as_many_or_as_much(rows):
    variance = unit_variance(rows)
    rankings = {"count": unit_usage(rows, GROUPS[:, None].float()), "shape": torch.arange(8.0)}
    found = [*ablations(rankings, variance, [0.25, 1.0], seed=0)]
    quarter = [each for each in found if each.share == 0.25]
    top = {each.ranking: each.units for each in quarter if each.kind == TOP}
    assert top["count"][0] == 0
    assert top["shape"].tolist() == [7, 6]
    assert all(len(each.units) == 2 for each in quarter if each.kind == SAME_NUMBER)
    wanted = variance[top["count"]].sum()
    for each in quarter:
        if each.kind == SAME_NORM:
            assert abs(variance[each.units].sum() - wanted) <= variance.max() / 2 + 1e-9
    assert all(len(each.units) == 8 for each in found if each.share == 1.0 and each.kind == TOP)


def test_units_are_channels_or_positions():
    r = torch.rand(2, 3, 4, 1)
    assert split_by_unit(r, "channel").shape == (2, 3, 4)
    torch.testing.assert_close(split_by_unit(r, "position")[:, 1, 2], r[:, 2, 1, 0])
    with pytest.raises(ValueError, match="unit=cube is not known"):
        split_by_unit(r, "cube")


def test_the_nearest_view_is_found_to_count():
    torch.manual_seed(0)
    angle = 180 * torch.rand(30, 4)
    empty = torch.zeros(30, 4, 3, 4, 4, dtype=torch.uint8)
    pictures = OccludedViews(empty, empty[:, 0], empty[:, 0])
    found = Occlusion(0.01 * (180 - angle) / 180, angle, torch.zeros(30), pictures)
    rows = [*occlusion_rows(found, 4)]
    assert next(r for r in rows if r.metric == "spearman").value == pytest.approx(-1)
    by_angle = [r.value for r in rows if r.metric == "mse_change"]
    assert by_angle == sorted(by_angle, reverse=True)
    assert by_angle[0] > 0.008


def test_a_view_that_adds_nothing_is_not_missed(study_inputs: StudyInputs, monkeypatch: pytest.MonkeyPatch):
    """A generator that ignores r: no view counts."""
    gqn = study_inputs.gqn
    monkeypatch.setattr(gqn, "sample_from", lambda r, cameras, **how: torch.full((len(cameras), 3, 16, 16), 0.5))
    found = occlude(study_inputs, nested_task(24, 6, 3, 0), 8)
    assert found.change.shape == (8, 3)
    assert float(found.change.abs().max()) == 0
    assert found.error.min() > 0
    some = occlude(study_inputs, nested_task(24, 6, 3, 0), 24, shown=2)  # two batches
    torch.testing.assert_close(some.error[:8], found.error)
    torch.testing.assert_close(some.pictures.truth, found.pictures.truth[:2])


@pytest.mark.slow
def test_from_scenes_to_page(study_inputs: StudyInputs, tmp_path: Path):
    analysis = Connections(
        objects=24, context=[1, 3, 5], predicted=6, targets=["color", "chirality"], unit="channel", shares=[0.2, 0.5],
        strengths=STRENGTHS, seed=0,
    )  # fmt: skip
    findings = analysis.run(study_inputs, tmp_path)
    assert {r.metric for r in findings.results} >= {"variance_share", "accuracy", "r2", "rmse_change", "mse_change"}
    intact = next(r for r in findings.results if (r.target, r.control) == ("prediction", "none"))
    assert intact.value == pytest.approx(0, abs=1e-6)
    assert len(findings.answers) == 3
    assert any("chirality was left out" in note for note in findings.notes)
    write_findings(tmp_path, "connections", findings, {})
    study = read_study(tmp_path)
    drawn = draw_figures(study)
    assert len(drawn) == 4
    assert "What drives the generator?" in build_report(study, drawn).read_text()
