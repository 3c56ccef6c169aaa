"""Camera paths are closed loops that face the centre; cameras unlike those of training are refused."""

import math

import pytest
import torch

from gqn_probe.data.stimuli.camera_paths import cameras_facing, check_cameras, great_circle, orbit_path
from gqn_probe.data.stimuli.cameras import camera_basis, sphere_cameras

CENTRE = torch.tensor([0.5, -1.0, 2.0])
LOW = cameras_facing(torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.0, 0.8], [0.0, 0.6, 0.8]]), 3.0, CENTRE.tolist())
SHAPE = {"positions": 12, "azimuth": 30.0, "elevation": None, "inclination": 40.0}


@pytest.mark.parametrize("kind", ["azimuth", "elevation", "great_circle"])
def test_an_orbit_is_a_loop_around_the_middle_that_faces_it(kind):
    path = orbit_path(kind, LOW, CENTRE, **SHAPE)
    offset = path[:, :3] - CENTRE
    torch.testing.assert_close(offset.norm(dim=1), torch.full((12,), 3.0))
    torch.testing.assert_close(camera_basis(path).forward, -offset / 3, atol=1e-5, rtol=0)
    steps = (offset - offset.roll(1, dims=0)).norm(dim=1)
    assert steps.max() < 3 * math.pi / 3  # no leap, from the last to the first neither


def test_orbits_are_where_they_are_called():
    up = {kind: orbit_path(kind, LOW, CENTRE, **SHAPE)[:, 2] - CENTRE[2] for kind in ("azimuth", "elevation")}
    torch.testing.assert_close(up["azimuth"], torch.full((12,), 3 * math.sin(math.radians(25))))
    assert up["elevation"].max() == pytest.approx(3 * 0.8, abs=1e-4)  # of the given cameras, the highest
    assert up["elevation"].min() == pytest.approx(0, abs=1e-4)
    swing = orbit_path("elevation", LOW, CENTRE, **SHAPE)[:, :2] - CENTRE[:2]
    assert torch.atan2(swing[:, 1], swing[:, 0]).rad2deg().tolist() == pytest.approx([30.0] * 12, abs=1e-3)
    circle = great_circle(8, azimuth=30.0, inclination=40.0)
    assert circle[:, 2].max().asin().rad2deg() == pytest.approx(40, abs=1e-3)
    assert torch.linalg.matrix_rank(circle, rtol=1e-4) == 2  # in one plane through the middle
    with pytest.raises(ValueError, match="orbit=spiral is not known: use azimuth, elevation or great_circle"):
        orbit_path("spiral", LOW, CENTRE, **SHAPE)


def test_an_orbit_keeps_to_the_heights_that_are_given():
    high = cameras_facing(torch.tensor([[0.6, 0.0, 0.8], [0.0, 0.5, 0.75**0.5]]), 3.0)
    path = orbit_path("azimuth", high, torch.zeros(3), **SHAPE)
    assert path[:, 2].tolist() == pytest.approx([2.4] * 12, abs=1e-4)


KNOWN = sphere_cameras(torch.rand(64, 2, generator=torch.Generator().manual_seed(0)), 3.0)


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        ([1.0, 0.0, 0.0, math.pi, 0.0], r"camera 1 has distance 1, outside of the 3 to 3"),
        ([3.0, 0.0, 0.0, math.pi / 2, 0.0], r"camera 1 has angle off the middle 90°, outside of the 0"),
    ],
)
def test_cameras_unlike_those_of_training_are_refused(camera, message):
    path = torch.tensor([[0.0, 3.0, 0.0, -math.pi / 2, 0.0], camera])
    with pytest.raises(ValueError, match=message):
        check_cameras(path, KNOWN, torch.zeros(3))
    check_cameras(path[:1], KNOWN, torch.zeros(3))


def test_cameras_above_all_that_are_known_are_refused():
    flat = cameras_facing(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), 3.0)
    above = cameras_facing(torch.tensor([[0.8, 0.0, 0.6]]), 3.0)
    with pytest.raises(ValueError, match=r"camera 0 has elevation 36\.9°, outside of the 0° to 0°"):
        check_cameras(above, flat, torch.zeros(3))
