"""Planted codes: who ignores images scores nothing, who holds the true object everything; slopes are found."""

import functools

import pytest
import torch

from gqn_probe.analysis.rotation.arms import arm_factors, four_arm_objects
from gqn_probe.analysis.rotation.encoding import EncodedViews
from gqn_probe.analysis.rotation.stimuli import mirrored, rotation_views
from gqn_probe.analysis.rotation.trial_scores import d_prime, score_rows
from gqn_probe.analysis.rotation.trials import Case, Scores, distance_trials, linear_trials
from gqn_probe.data.stimuli.ray_caster import render_objects
from gqn_probe.data.stimuli.scene_renderer import DEFAULT_LENS
from gqn_probe.results import Interval, Result

ANGLES = (0.0, 60.0, 120.0, 180.0)
OBJECTS = 20


@pytest.fixture(scope="module")
def objects():
    texts = list(four_arm_objects())[:OBJECTS]
    return arm_factors(dict(zip(texts, texts, strict=True)), one_color=True, seed=0)


@pytest.fixture(scope="module")
def views(objects):
    render = functools.partial(render_objects, lens=DEFAULT_LENS, size=8)
    where = {"axis": "depth", "elevation": 30.0, "angles": ANGLES, "context": 2, "cone": 20.0, "seed": 0}
    return rotation_views(objects, render, **where)


def voxels(factors) -> torch.Tensor:
    """Which cells of a fine grid each object fills."""
    cells = (factors.positions.nan_to_num(9.0) * 40).round().long().clamp(-60, 60) + 60
    flat = (cells[..., 0] * 121 + cells[..., 1]) * 121 + cells[..., 2]
    kept, index = flat.unique(return_inverse=True)
    return torch.zeros(len(flat), len(kept)).scatter_(1, index, 1.0)


def bounds(row: Result) -> tuple[float, float]:
    assert row.low is not None
    assert row.high is not None
    return row.low, row.high


def scored(encoded, units) -> dict[tuple[str, str], Result]:
    trials = distance_trials("depth", encoded, "none", {"whole": [2]})
    trials |= linear_trials("depth", "whole", "none", encoded, 2, units, [0.01, 1.0])
    rows = score_rows(trials, ANGLES, units, {2: torch.zeros(OBJECTS, len(ANGLES))})
    return {(row.probe, row.metric): row for row in rows if row.angle is None}


def test_who_holds_the_true_object_scores_everything(objects, views):
    units = torch.arange(OBJECTS)
    both = voxels(objects), voxels(mirrored(objects))
    most = max(each.shape[1] for each in both)
    own, other = (torch.nn.functional.pad(each, (0, most - each.shape[1])) for each in both)
    angles = len(ANGLES)
    encoded = EncodedViews(
        {"whole": own[:, None].expand(-1, 2, -1)},
        {"whole": own[:, None].expand(-1, angles, -1)},
        {"whole": other[:, None].expand(-1, angles, -1)},
    )
    found = scored(encoded, units)
    for probe in ("distance", "linear"):
        assert found[probe, "far_accuracy"].value == 1
        assert found[probe, "far_d_prime"].value > 2.5
    assert ("distance", "slope") not in found  # it is as near at every angle


def test_who_ignores_images_scores_nothing_however_its_codes_turn(views):
    """Codes of the camera alone: they turn with the angle, and tell nothing of the object."""
    cameras = {"context": views.context_cameras, "same": views.probe_cameras, "mirror": views.probe_cameras}
    codes = {name: {"whole": each[..., :3]} for name, each in cameras.items()}
    encoded = EncodedViews(codes["context"], codes["same"], codes["mirror"])
    found = scored(encoded, torch.arange(OBJECTS))
    for probe in ("distance", "linear"):
        assert found[probe, "far_accuracy"].value == 0.5
        assert found[probe, "far_d_prime"].value == pytest.approx(0, abs=1e-9)
    assert found["distance", "correlation"].value > 0.8


def test_what_blank_images_and_pixels_show_is_partialled_out():
    generator = torch.Generator().manual_seed(0)
    degrees = torch.tensor(ANGLES, dtype=torch.float64).expand(OBJECTS, -1)
    noise, pixels, blank = (torch.rand(OBJECTS, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    mirror = torch.zeros(OBJECTS, 4, dtype=torch.float64)
    case = Case("depth", "whole", "none", "distance", 1)
    others = {
        case._replace(input="prediction", control="pixels", probe="error"): Scores(degrees / 50 + pixels, mirror),
        case._replace(control="blank"): Scores(degrees / 90 + blank, mirror),
    }
    own = {"camera's": degrees / 50 + pixels + degrees / 90 + blank + noise, "object's": 0.02 * degrees + noise}
    left = {}
    for name, values in own.items():
        rows = score_rows({case: Scores(values, mirror), **others}, ANGLES, torch.arange(OBJECTS), {1: degrees})
        left[name] = {row.metric: row for row in rows if row.angle is None and row.control == "none"}
    assert left["camera's"]["correlation"].value > 0.9
    nothing, truth = (bounds(left[name]["partial_slope"]) for name in ("camera's", "object's"))
    assert nothing[0] < 0 < nothing[1]
    assert 0.01 < truth[0] < 0.02 < truth[1]


def test_pixels_are_the_base_of_a_gain():
    case = Case("depth", "prediction", "none", "error", 1)
    far = torch.ones(OBJECTS, 4, dtype=torch.float64)
    trials = {case: Scores(0 * far, far), case._replace(control="pixels"): Scores(far, 0 * far)}
    rows = list(score_rows(trials, ANGLES, torch.arange(OBJECTS), {1: far}))
    gain = next(row for row in rows if row.metric == "far_accuracy_above_pixels")
    assert gain.value == 1
    assert bounds(gain)[0] > 0.5


def test_sensitivity_of_two_choices():
    assert d_prime(Interval(0.76, 0.5, 1.0), 100)[:2] == pytest.approx((0.9988, 0.0), abs=1e-3)
    assert d_prime(Interval(1.0, 0.9, 1.0), 100).value == pytest.approx(3.643, abs=1e-3)
