"""Cameras: order of the seven numbers, positions and directions."""

import math

import pytest
import torch

from gqn_probe.data import encode_cameras
from gqn_probe.data.stimuli.cameras import camera_basis, sphere_cameras


def test_encoding_orders() -> None:
    raw = torch.tensor([1.0, 2.0, 3.0, math.pi / 6, -math.pi / 2])
    half, root = 0.5, math.sqrt(3) / 2
    assert encode_cameras(raw).tolist() == pytest.approx([1, 2, 3, root, half, 0, -1], abs=1e-6)
    assert encode_cameras(raw, order="sin_cos").tolist() == pytest.approx([1, 2, 3, half, root, -1, 0], abs=1e-6)
    with pytest.raises(ValueError, match="'cos_sin' or 'sin_cos'"):
        encode_cameras(raw, order="degrees")


def test_cameras_are_uniform_on_the_sphere_and_face_the_origin() -> None:
    cameras = sphere_cameras(torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0)), distance=3.0)
    position, basis = cameras[:, :3], camera_basis(cameras)
    torch.testing.assert_close(position.norm(dim=1), torch.full((20_000,), 3.0))
    torch.testing.assert_close(basis.forward, -position / 3, atol=1e-5, rtol=0)
    direction = position / 3
    assert direction.mean(dim=0).abs().max() < 0.02
    torch.testing.assert_close(direction.T @ direction / 20_000, torch.eye(3) / 3, atol=0.01, rtol=0)


def test_bases_are_orthonormal_right_handed_and_level() -> None:
    basis = camera_basis(sphere_cameras(torch.rand(50, 2), distance=1.0))
    torch.testing.assert_close(torch.linalg.cross(basis.right, basis.forward), basis.up, atol=1e-5, rtol=0)
    assert (basis.right[:, 2] == 0).all()
    assert (basis.up[:, 2] > 0).all()
