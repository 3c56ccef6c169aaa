"""What is read beside the count: truths by hand, and a planted object that r comes to know."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gqn_probe.analysis.inputs.context_readouts import check_inputs, context_rows, generator_names, generator_rows
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import Selection, nested, nested_task
from gqn_probe.analysis.protocols.decoding import TargetDecoder
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.targets import TARGETS, Classes, Values
from gqn_probe.analysis.statistics.bootstrap import ObjectBootstrap
from gqn_probe.types import Scenes

COUNTS = (1, 3, 5)


def _values(found: Classes | Values) -> torch.Tensor:
    assert isinstance(found, Values)
    return found.values


def test_coverage_of_opposite_and_equal_views() -> None:
    cameras = torch.zeros(1, 3, 5)
    cameras[0, :, 0] = torch.tensor([2.0, -2.0, 3.0])
    scenes = Scenes(torch.zeros(1, 3, 3, 4, 4, dtype=torch.uint8), cameras)
    opposite, equal = (Selection(torch.zeros(1, 2, dtype=torch.int64), torch.tensor([v])) for v in ([0, 1], [0, 2]))
    assert float(_values(TARGETS["coverage"](scenes, opposite))) == pytest.approx(1)
    assert float(_values(TARGETS["coverage"](scenes, equal))) == pytest.approx(0)
    assert _values(TARGETS["direction"](scenes, equal))[0].tolist() == [1, 0, 0]


def test_targets_of_rendered_objects(rendered: Scenes) -> None:
    views = nested(len(rendered), 6, 2, 0)
    shape = TARGETS["shape"](rendered, views)
    assert isinstance(shape, Classes)
    assert shape.kinds == len(set(shape.labels.tolist())) > 1
    assert _values(TARGETS["positions"](rendered, views)).shape == (24, 15)
    with pytest.raises(ValueError, match="all objects are alike"):
        TARGETS["parts"](rendered, views)
    with pytest.raises(ValueError, match="the objects are not known"):
        TARGETS["color"](replace(rendered, factors=None), views)


def test_r_that_holds_the_colour_is_found_to(
    study_inputs: StudyInputs, settings: StudySettings, tmp_path: Path
) -> None:
    scenes = study_inputs.scenes
    assert scenes.factors is not None
    color = scenes.factors.colors.mean(dim=1)[:, None].expand(24, 3, 3)
    fading = color + torch.tensor([5.0, 0.1, 0.001])[:, None] * torch.randn(24, 3, 3)
    settings = replace(settings, targets=("count", "color", "shape", "parts", "coverage"))
    probe_inputs, notes = ProbeInputs(study_inputs, COUNTS, settings, tmp_path / "rows", fading), []
    rows = list(TargetDecoder(probe_inputs, settings, ObjectBootstrap(24, resamples=200, seed=0)).rows(notes))
    told = {row.count: row for row in rows if row.metric == "r2" and row.target == "color"}
    assert told[1].value < 0.3
    assert told[5].value > 0.9
    assert float(told[5].low) <= told[5].value <= float(told[5].high)
    assert {row.target for row in rows} == {"color", "shape", "coverage"}
    assert {row.count for row in rows if row.target == "coverage"} == {3, 5}  # of one view it is no value but rounding
    assert {row.count for row in rows if row.target == "shape" and row.metric == "accuracy"} == set(COUNTS)
    assert notes == ["What r knows of parts was left out: all objects are alike in it."]


def test_values_without_ridge_are_a_note(study_inputs: StudyInputs, settings: StudySettings, tmp_path: Path) -> None:
    settings = replace(settings, targets=("count", "color"), probes={"linear": settings.probes["linear"]})
    probe_inputs, notes = ProbeInputs(study_inputs, COUNTS, settings, tmp_path / "rows", torch.randn(24, 3, 6)), []
    assert not list(TargetDecoder(probe_inputs, settings, ObjectBootstrap(24, resamples=200, seed=0)).rows(notes))
    assert notes == ["What r knows of color was left out: values are read by ridge, which is not among probe.probes."]


def test_generator_states_are_those_of_the_trace(study_inputs: StudyInputs) -> None:
    names = generator_names(study_inputs.gqn)
    task = nested_task(24, 6, 3, seed=0)
    found = generator_rows(study_inputs, names, task)
    assert found["hidden.2"].shape == (24, 4)
    assert found["kl"].shape == (24, 2)
    assert all(rows.isfinite().all() for rows in found.values())
    assert (found["prior_std.1"] > 0).all()


def test_the_set_of_views_has_no_order(study_inputs: StudyInputs) -> None:
    selection = nested(24, 6, 4, seed=0)
    flipped = Selection(selection.scenes, selection.views.flip(1))
    rows = context_rows(study_inputs, "views", selection)
    torch.testing.assert_close(context_rows(study_inputs, "views", flipped), rows)
    assert rows.shape == (24, 4 * 6)


def test_unknown_names_list_those_there_are(study_inputs: StudyInputs, settings: StudySettings) -> None:
    with pytest.raises(ValueError, match=r"no read-out hiden; there are pooled, .*hidden\.2.*kl"):
        check_inputs(study_inputs.gqn, ["pooled", "hiden"])
    with pytest.raises(ValueError, match="no target colour; there are count, shape, "):
        replace(settings, targets=("colour",))
    with pytest.raises(ValueError, match="no control nrom; there are none, norm, "):
        replace(settings, controls=("nrom",))
