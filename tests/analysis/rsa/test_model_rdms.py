"""Model RDMs: angles on SO(3) and mirror images that are known."""

import numpy as np
import pytest
import torch

from gqn_probe.analysis.inputs.view_selection import Selection
from gqn_probe.analysis.rsa.model_rdms import build_model_rdm
from gqn_probe.data.stimuli.cameras import facing_origin
from gqn_probe.types import Factors, Scenes


def _scenes(directions: torch.Tensor) -> Scenes:
    cameras = facing_origin(directions)
    n, v = cameras.shape[:2]
    factors = Factors(
        shape=torch.tensor([0, 0, 1, 2]),
        mirror_class=torch.tensor([0, 0, 0, 1]),
        chirality=torch.tensor([1, 1, -1, 0]),
        parts=torch.full((n,), 2),
        positions=torch.zeros(n, 2, 3),
        colors=torch.tensor([0.0, 0.0, 1.0, 0.5])[:, None, None].expand(n, 2, 3),
    )
    return Scenes(torch.zeros(n, v, 3, 4, 4, dtype=torch.uint8), cameras, factors)


def _first(scenes: Scenes, views: int) -> Selection:
    rows = torch.arange(len(scenes))[:, None].expand(-1, views)
    return Selection(rows, torch.arange(views).expand(len(scenes), -1))


@pytest.fixture
def around() -> Scenes:
    """One view of each of four scenes, 0, 30, 90 and 180 degrees round the equator."""
    turns = torch.tensor([0.0, 30.0, 90.0, 180.0]).deg2rad()
    return _scenes(torch.stack([turns.cos(), turns.sin(), torch.zeros(4)], dim=-1)[:, None])


def test_angle_is_the_turn_between_cameras(around: Scenes):
    found = build_model_rdm("angle", around, _first(around, 1))
    np.testing.assert_allclose(found, [30, 90, 180, 60, 150, 90], atol=1e-3)


def test_angle_of_several_views_is_that_of_their_mean_rotation():
    turns = torch.tensor([[-20.0, 20.0], [10.0, 50.0], [70.0, 110.0], [60.0, 60.0]]).deg2rad()
    scenes = _scenes(torch.stack([turns.cos(), turns.sin(), torch.zeros_like(turns)], dim=-1))
    found = build_model_rdm("angle", scenes, _first(scenes, 2))
    np.testing.assert_allclose(found, [30, 90, 60, 60, 30, 30], atol=1e-3)


def test_shape_mirror_and_colour(around: Scenes):
    views = _first(around, 1)
    np.testing.assert_array_equal(build_model_rdm("shape", around, views), [0, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(build_model_rdm("mirror", around, views), [0, 1, np.nan, 1, np.nan, np.nan])
    np.testing.assert_allclose(build_model_rdm("color", around, views), np.array([0, 1, 0.5, 1, 0.5, 0.5]) * 3**0.5)


def test_what_all_objects_share_is_no_model(around: Scenes):
    with pytest.raises(ValueError, match="alike"):
        build_model_rdm("parts", around, _first(around, 1))
    with pytest.raises(ValueError, match="no model RDM 'nothing'; there are angle"):
        build_model_rdm("nothing", around, _first(around, 1))
