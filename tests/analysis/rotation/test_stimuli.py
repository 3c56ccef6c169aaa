"""Rotated objects: exact angles, exact rotation of the picture at the pole, mirror images, classic objects by arms."""

import functools

import pytest
import torch
from scipy import ndimage

from gqn_probe.analysis.rotation.arms import arm_factors, four_arm_objects, parse_arms, read_arms
from gqn_probe.analysis.rotation.mental_rotation import touches_border
from gqn_probe.analysis.rotation.stimuli import POLE, camera_angle, mirrored, rotation_views
from gqn_probe.data.stimuli.ray_caster import render_objects
from gqn_probe.data.stimuli.scene_renderer import DEFAULT_LENS
from gqn_probe.data.stimuli.shapes import shape_ids
from gqn_probe.types import Factors

ANGLES = (0.0, 90.0, 150.0)
render = functools.partial(render_objects, lens=DEFAULT_LENS, size=32)


def views_of(factors: Factors, elevation: float):
    where = {"axis": "depth", "elevation": elevation, "angles": ANGLES, "context": 3, "cone": 20.0, "seed": 0}
    return rotation_views(factors, render, **where)


@pytest.fixture(scope="module")
def objects() -> Factors:
    texts = list(four_arm_objects())[:3]
    return arm_factors(dict(zip(texts, texts, strict=True)), one_color=False, seed=0)


@pytest.mark.parametrize("elevation", [0.0, 30.0, POLE])
def test_a_probe_is_turned_by_its_angle_and_the_context_stays_within_the_cone(objects, elevation):
    views = views_of(objects, elevation)
    first = views.context_cameras[:, :1]
    torch.testing.assert_close(camera_angle(first, views.probe_cameras), torch.tensor([ANGLES] * 3), atol=0.02, rtol=0)
    assert 0 < camera_angle(first, views.context_cameras)[:, 1:].max() < 29  # 20 degrees in two directions
    assert torch.equal(views.context_frames[:, 0], views.same_frames[:, 0])
    assert (views.nearest(3) <= views.nearest(1) + 1e-4).all()
    assert not touches_border(views)


def test_at_the_pole_the_picture_itself_is_turned(objects):
    frames = views_of(objects, POLE).same_frames.float().mean(dim=2).numpy()
    for thing in frames:
        quarter = min(abs(ndimage.rotate(thing[0], turn, reshape=False) - thing[1]).mean() for turn in (90, -90))
        assert quarter < 1


def test_a_mirror_image_is_of_the_same_pair_and_keeps_its_colours(objects):
    other = mirrored(objects)
    assert torch.equal(other.colors.nan_to_num(), objects.colors.nan_to_num())
    for own, its in zip(objects.positions, other.positions, strict=True):
        cells = [((each[~each.isnan().any(dim=1)] - each[0]) / 0.25).round().long()[None] for each in (own, its)]
        ids, flipped = (shape_ids(each) for each in cells)
        assert ids.mirror_class == flipped.mirror_class
        assert ids.chirality == -flipped.chirality != 0


def test_arms_are_cells():
    cells = [[0, 0, 0], [0, 1, 0], [0, 1, -1], [0, 1, -2], [1, 1, -2], [2, 1, -2], [2, 1, -1]]
    assert parse_arms("B 2, D 2, R 2, U 1").tolist() == cells


@pytest.mark.parametrize(("text", "message"), [("B 2, X 2", "'X 2'"), ("B 2, D", "'D'"), ("R 3, L 1", "collide")])
def test_arms_that_cannot_be_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_arms(text)


@pytest.mark.slow
def test_our_four_armed_objects_are_48_chiral_pairs():
    factors = arm_factors(four_arm_objects(), one_color=True, seed=0)
    assert len(factors.mirror_class.unique()) == 48
    assert (factors.chirality != 0).all()
    assert all(len(own[: int(n)].unique(dim=0)) == 1 for own, n in zip(factors.colors, factors.parts, strict=True))


def test_a_table_of_arms_names_each_object_once(tmp_path):
    path = tmp_path / "objects.csv"
    path.write_text('name,arms\na,"B 2, D 2"\na,"B 3, D 2"\n')
    with pytest.raises(ValueError, match="'a' twice"):
        read_arms(path)
    path.write_text("object\na\n")
    with pytest.raises(ValueError, match="needs name and arms"):
        read_arms(path)
