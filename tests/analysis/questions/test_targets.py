"""What is read beside the count: truths by hand, and a planted object that r comes to know."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from gqn_probe.analysis.inputs.context_readouts import check_inputs, context_rows, generator_names, generator_rows
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import Selection, nested, nested_task
from gqn_probe.analysis.protocols.decoding import TargetDecoder
from gqn_probe.analysis.protocols.decoding_scores import calibrated
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.targets import TARGETS, Classes, Values, handedness, target
from gqn_probe.data import render_scenes
from gqn_probe.data.stimuli.shapes import rotations
from gqn_probe.types import Factors, Scenes

COUNTS = (1, 3, 5)


def _values(found: Classes | Values) -> torch.Tensor:
    assert isinstance(found, Values)
    return found.values


def test_coverage_of_opposite_and_equal_views() -> None:
    cameras = torch.zeros(1, 3, 5)
    cameras[0, :, 0] = torch.tensor([2.0, -2.0, 3.0])
    scenes = Scenes(torch.zeros(1, 3, 3, 4, 4, dtype=torch.uint8), cameras)
    opposite, equal = (Selection(torch.zeros(1, 2, dtype=torch.int64), torch.tensor([v])) for v in ([0, 1], [0, 2]))
    for views, expected in ((opposite, 1), (equal, 0)):
        found = TARGETS["coverage"](scenes, views)
        assert isinstance(found, Values)
        assert found.derive is not None
        assert float(found.derive(found.values)) == pytest.approx(expected)
    assert _values(TARGETS["direction"](scenes, equal))[0].tolist() == [1, 0, 0]


def _object(*cells: tuple[int, int, int], colors: list[list[float]] | None = None) -> Factors:
    """One object of cubes at grid cells; NaN rows fill it up to six."""
    places = torch.tensor(cells, dtype=torch.float32) * 0.25
    positions, shades = torch.full((1, 6, 3), torch.nan), torch.full((1, 6, 3), torch.nan)
    positions[0, : len(cells)] = places - places.mean(dim=0)
    shades[0, : len(cells)] = torch.tensor(colors or [[1.0, 0, 0]] * len(cells))
    shape = torch.tensor([hash(cells) % 1000])
    return Factors(shape, shape, torch.ones(1, dtype=torch.int64), torch.tensor([len(cells)]), positions, shades)


def _scenes(*objects: Factors) -> Scenes:
    factors = Factors(*(torch.cat([getattr(o, f.name) for o in objects]) for f in fields(Factors)))
    return Scenes(torch.zeros(len(objects), 2, 3, 4, 4, dtype=torch.uint8), torch.zeros(len(objects), 2, 5), factors)


CHAIN = ((0, 0, 0), (1, 0, 0), (2, 0, 0), (2, 1, 0), (2, 1, 1))


def test_no_target_depends_on_where_the_walk_begins() -> None:
    colors = torch.rand(5, 3).tolist()
    other = _object((0, 0, 0), (0, 1, 0), (0, 2, 0), (1, 2, 0))
    there, back = (
        _scenes(_object(*cells, colors=shades), other)
        for cells, shades in ((CHAIN, colors), (CHAIN[::-1], colors[::-1]))
    )
    views = nested(2, 2, 1, 0)
    for name in ("second_moments", "color_where", "color", "parts"):
        ours, theirs = TARGETS[name](there, views), TARGETS[name](back, views)
        torch.testing.assert_close(ours[0], theirs[0])
    torch.testing.assert_close(
        handedness(there.factors.positions),  # pyright: ignore[reportOptionalMemberAccess]
        handedness(back.factors.positions),  # type: ignore[union-attr]
    )


def test_second_moments_and_colour_where_by_hand() -> None:
    rod, other = _object((0, 0, 0), (2, 0, 0), colors=[[1, 0, 0], [0, 0, 0]]), _object((0, 0, 0), (0, 4, 0))
    moments = _values(TARGETS["second_moments"](_scenes(rod, other), nested(2, 2, 1, 0)))
    assert moments.tolist() == [[0.0625, 0], [0, 0.25]]  # xx and yy vary, the others do not
    where = _values(TARGETS["color_where"](_scenes(rod, other), nested(2, 2, 1, 0)))
    assert where.tolist() == [[-0.25], [0]]  # the red cube is at x = -0.25, half redder than the mean


def test_occupancy_marks_the_cells_of_cubes_whatever_their_number() -> None:
    three, one = _object((0, 0, 0), (1, 0, 0), (2, 0, 0)), _object((0, 0, 0))
    found = _values(TARGETS["occupancy"](_scenes(*[three, one] * 3), nested(6, 2, 1, 0)))
    assert found[:2].tolist() == [[1, 1], [0, 0]]  # the middle cell, filled by all, is no question


def test_handedness_is_a_mirror_images_opposite_and_no_rotations() -> None:
    chain = torch.tensor(CHAIN, dtype=torch.float32)[None] * 0.25
    hand = handedness(chain)
    assert hand.abs() == 1
    assert (handedness(torch.einsum("sni,rji->rnj", chain, rotations().float())) == hand).all()
    assert handedness(chain * torch.tensor([-1.0, 1, 1])) == -hand
    assert handedness(chain * torch.tensor([1.0, 1, 0])) == 0  # flat


def test_chirality_needs_pairs_and_holds_them_out_whole() -> None:
    seven = render_scenes(200, views=1, parts=7, size=8)
    found = TARGETS["chirality"](seven, nested(200, 1, 1, 0))
    assert isinstance(found, Classes)
    assert found.groups is not None
    factors = seven.factors
    assert factors is not None
    assert set(found.labels[factors.chirality == 0].tolist()) == {-1}
    for shape in factors.shape.unique():  # a shape has one hand, its mirror image the other
        assert len(found.labels[factors.shape == shape].unique()) == 1
    with pytest.raises(ValueError, match="of at least 10"):
        TARGETS["chirality"](render_scenes(20, views=1, parts=5, size=8), nested(20, 1, 1, 0))


def test_targets_of_rendered_objects(rendered: Scenes) -> None:
    views = nested(len(rendered), 6, 2, 0)
    shape = TARGETS["shape"](rendered, views)
    assert isinstance(shape, Classes)
    assert shape.kinds == len(set(shape.labels.tolist())) > 1
    assert _values(TARGETS["color_where"](rendered, views)).shape == (24, 9)
    with pytest.raises(ValueError, match="all objects are alike"):
        TARGETS["parts"](rendered, views)
    with pytest.raises(ValueError, match="the objects behind the images are unknown"):
        TARGETS["color"](replace(rendered, factors=None), views)


def test_a_target_registers_itself_under_a_free_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gqn_probe.analysis.questions.targets.TARGETS", dict(TARGETS))
    with pytest.raises(ValueError, match="there is a target color already"):
        target(TARGETS["color"])


@pytest.mark.slow
def test_r_that_holds_the_colour_is_found_to(
    study_inputs: StudyInputs, settings: StudySettings, tmp_path: Path
) -> None:
    scenes = study_inputs.scenes
    assert scenes.factors is not None
    color = scenes.factors.colors.mean(dim=1)[:, None].expand(24, 3, 3)
    fading = color + torch.tensor([5.0, 0.1, 0.001])[:, None] * torch.randn(24, 3, 3)
    settings = replace(settings, targets=("count", "color", "shape", "parts", "coverage"))
    probe_inputs, notes = ProbeInputs(study_inputs, COUNTS, settings, tmp_path / "rows", fading), []
    decoder = TargetDecoder(probe_inputs, settings)
    rows = list(decoder.rows(notes))
    own = [row for row in rows if (row.control, row.probe, row.target) == ("none", "ridge", "color")]
    told = {row.count: row for row in own if row.metric == "r2" and row.train_objects is None}
    assert told[1].value < 0.3
    assert told[5].value > 0.9
    assert told[5].low <= told[5].value <= told[5].high  # type: ignore[operator]
    rise = next(row for row in own if (row.metric, row.count) == ("r2_rise", 5))
    assert rise.value == pytest.approx(told[5].value - told[1].value)
    assert rise.low > 0  # type: ignore[operator]
    above = {row.count: row for row in own if row.metric == "r2_above_untrained" and row.train_objects is None}
    assert above[5].low > 0  # type: ignore[operator]
    assert {row.control for row in rows} == {"none", "untrained", "pixels"}
    assert {row.probe for row in rows} == {"ridge", "kernel_ridge"}
    assert {row.target for row in rows} == {"color", "shape", "coverage"}
    assert {row.count for row in rows if row.target == "coverage" and row.metric == "r2"} == {
        3,
        5,
    }  # one view: rounding
    assert {row.count for row in rows if row.target == "shape" and row.metric == "accuracy"} == set(COUNTS)
    assert {row.train_objects for row in rows} == {None, 10, 19}  # of all 24 objects, four fifths
    assert notes == ["Targets left out: parts (all objects are alike in it)."]
    assert min(row.value for row in rows if row.metric == "r2") > -0.5


def test_what_is_not_told_scores_no_less_than_the_mean(
    study_inputs: StudyInputs, settings: StudySettings, tmp_path: Path
) -> None:
    settings = replace(settings, targets=("color", "second_moments", "occupancy", "coverage"), controls=())
    noise = torch.randn(24, 3, 40)
    decoder = TargetDecoder(ProbeInputs(study_inputs, COUNTS, settings, tmp_path / "rows", noise), settings)
    told = [row.value for row in decoder.rows([]) if row.metric == "r2"]
    assert sum(value < -0.1 for value in told) <= 2
    assert max(told) < 0.5


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
    with pytest.raises(ValueError, match=r"no read-out hiden; did you mean hidden.[12]\? .*pooled, .*hidden\.2.*kl"):
        check_inputs(study_inputs.gqn, ["pooled", "hiden"])
    with pytest.raises(ValueError, match=r"no target colour; did you mean color\? there are count, shape, "):
        replace(settings, targets=("colour",))
    with pytest.raises(ValueError, match=r"no control nrom; did you mean norm\? there are none, norm, "):
        replace(settings, controls=("nrom",))


def test_a_derived_target_is_predicted_by_its_mean_unless_decoding_improves_on_it() -> None:
    generator = torch.Generator().manual_seed(0)
    known, noise = (torch.rand(48, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    assert torch.equal(calibrated(noise, known, noise[:12]), known.mean(dim=0).expand(12, 1))
    torch.testing.assert_close(calibrated(known, known, known[:12]), known[:12])
