"""Views from cameras of our choice: the circle around held-out objects."""

import pytest
import torch
from data_modules import rendered, store
from tiny import SIZE, tiny_data, tiny_module

from gqn_probe.data import encode_cameras
from gqn_probe.data.store.store_builder import build_store
from gqn_probe.training.novel_views import find_renderer, orbit_cameras, orbit_pictures
from gqn_probe.types import to_unit


def test_the_camera_stays_on_its_sphere_and_faces_the_object():
    cameras = orbit_cameras(8)
    position, yaw, pitch = cameras[:, :3], cameras[:, 3], cameras[:, 4]
    torch.testing.assert_close(position.norm(dim=1), torch.full((8,), 3.0))
    forward = torch.stack([yaw.cos() * pitch.cos(), yaw.sin() * pitch.cos(), pitch.sin()], dim=1)
    torch.testing.assert_close(forward, -position / 3)


def test_a_store_of_rendered_objects_is_rendered_again_from_its_own_settings(tmp_path):
    source = rendered(tmp_path, train=0, test=0, background="gradient").source
    build_store(source, tmp_path / "store", source.pieces())
    data = store(tmp_path / "store")
    scenes, render = data.split("val")[:2], find_renderer(data)
    assert render is not None
    assert scenes.factors is not None
    torch.testing.assert_close(render(scenes.factors, scenes.cameras), scenes.frames, atol=0, rtol=0)


@pytest.mark.slow
def test_each_row_is_an_object_and_each_column_a_count(tmp_path):
    data = tiny_data(tmp_path / "cache", "data.views=4", "data.val=2")
    gqn = tiny_module().gqn.eval()
    film = orbit_pictures(gqn, data, counts=(1, 3, 10), objects=2, positions=5)
    assert list(film) == ["truth", "from 1 image", "from 3 images"]  # ten views are not there
    assert {column.shape for column in film.values()} == {(5, 2 * SIZE, SIZE, 3)}
    scenes = data.scenes("val")
    r = gqn.aggregate(gqn.encode(to_unit(scenes.frames[:, :3]), data.encode(scenes.cameras[:, :3])))
    torch.manual_seed(0)
    sample = gqn.sample_from(r, encode_cameras(orbit_cameras(5)[4:].expand(2, 5))).clamp(0, 1)
    expected = (255 * sample[1]).round().byte().permute(1, 2, 0)
    torch.testing.assert_close(film["from 3 images"][4, SIZE:], expected, atol=1, rtol=0)
