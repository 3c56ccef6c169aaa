"""Camera matrices against the renderer's own cameras, and cameras that are refused."""

import json
import math

import numpy as np
import pytest
import torch

from gqn_probe.data.formats.camera_matrices import UPS, read_colmap, read_transforms
from gqn_probe.data.stimuli.cameras import camera_basis, sphere_cameras

RAW = sphere_cameras(torch.rand(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64), 3.0)


def upright_matrices() -> np.ndarray:
    """Camera-to-world matrices of the raw cameras, as NeRF writes them."""
    right, up, forward = camera_basis(RAW)
    matrices = np.tile(np.eye(4), (len(RAW), 1, 1))
    matrices[:, :3, :3] = torch.stack([right, up, -forward], dim=-1).numpy()
    matrices[:, :3, 3] = RAW[:, :3].numpy()
    return matrices


def transforms(matrices: np.ndarray, **settings: object) -> bytes:
    frames = [{"file_path": f"{n}.png", "transform_matrix": m.tolist()} for n, m in enumerate(matrices)]
    return json.dumps({"frames": frames} | settings).encode()


def same(views: list, raw: torch.Tensor) -> None:
    found = torch.tensor([view.camera for view in views], dtype=torch.float64)
    torch.testing.assert_close(found[:, :3], raw[:, :3])
    for mine, theirs in zip(camera_basis(found), camera_basis(raw), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("up", UPS)
def test_matrices_are_the_cameras_that_they_were_made_of(up: str) -> None:
    # A world in which another axis points up: its coordinates are a rotation of ours.
    axis = UPS[up]
    second = np.roll(np.abs(axis), -1)
    turn = np.eye(4)
    turn[:3, :3] = np.stack([np.cross(second, axis), second, axis]).T
    posed = read_transforms(transforms(turn @ upright_matrices()), "t.json", up=up)
    same(posed.views, RAW)
    assert [view.image for view in posed.views] == [f"{n}.png" for n in range(6)]


def colmap(matrices: np.ndarray, camera: str = "1 PINHOLE 64 48 40 40 32 24") -> tuple[bytes, bytes]:
    lines = ["# comment"]
    for number, matrix in enumerate(matrices):
        rotation = (matrix[:3, :3] * [1, -1, -1]).T  # right, down, forward
        w = math.sqrt(max(0, 1 + np.trace(rotation))) / 2
        x, y, z = (
            math.copysign(math.sqrt(max(0, 1 + 2 * rotation[i, i] - np.trace(rotation))) / 2, sign)
            for i, sign in enumerate(
                (rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1])
            )
        )
        translation = -rotation @ matrix[:3, 3]
        lines += [
            f"{number} {w} {x} {y} {z} {' '.join(map(str, translation))} 1 view {number}.png",
            "1 2 -1" * (number % 2),
        ]
    return f"# comment\n{camera}\n".encode(), "\n".join(lines).encode()


def test_colmap_models_are_the_cameras_that_they_were_made_of() -> None:
    posed = read_colmap(*colmap(upright_matrices()), "model", up="z")
    same(posed.views, RAW)
    assert posed.views[3].image == "view 3.png"
    assert (posed.half_width, posed.half_height) == pytest.approx((0.8, 0.6))


@pytest.mark.parametrize(
    ("settings", "half_width", "half_height"),
    [
        ({"camera_angle_x": 1.0}, math.tan(0.5), None),
        ({"camera_angle_x": 1.0, "w": 8, "h": 4}, math.tan(0.5), math.tan(0.5) / 2),
        ({"fl_x": 40, "fl_y": 20, "w": 64, "h": 48, "cx": 32, "cy": 24}, 0.8, 1.2),
        ({}, None, None),
    ],
)
def test_the_field_of_view_is_kept(settings: dict, half_width: float | None, half_height: float | None) -> None:
    posed = read_transforms(transforms(upright_matrices(), **settings), "t.json", up="z")
    assert (posed.half_width, posed.half_height) == pytest.approx((half_width, half_height))


def rolled(angle: float) -> np.ndarray:
    turn = np.eye(4)
    turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    return upright_matrices() @ turn


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (transforms(rolled(0.1)), "frame 0: the camera is rolled by -?5.7 degrees, .*: set data.up"),
        (transforms(upright_matrices(), k1=0.1), r"coefficients \[0.1, 0.0, .*\] distort the images"),
        (transforms(upright_matrices(), fl_x=40, w=64, h=48, cx=20, cy=24), "the optical axis is at pixel 20 of 64"),
        (transforms(2 * upright_matrices()), "frame 0: its matrix is not a rotation"),
        (transforms(upright_matrices() * np.array([-1, 1, 1, 1])), "frame 0: its matrix is not a rotation"),
        (transforms(np.full((1, 4, 4), np.nan)), "frame 0: a number is not finite"),
        (transforms(np.eye(3)[None]), "frame 0: expected a matrix of 4x4"),
        (b"{", "is not a transforms.json"),
        (b'{"frames": [{"file_path": "a"}]}', "is not a transforms.json"),
        (b"[" * 100_000, "is not a transforms.json"),
        (transforms(np.eye(4)[None]).replace(b"1.0", b"1" * 400), "is not a transforms.json"),
        (transforms(upright_matrices(), fl_x=40, w=10**400), "its lens cannot be used"),
        (transforms(upright_matrices(), fl_x=-40, w=64), r"half the image at distance 1 is \(-0.8, None\)"),
        (transforms(upright_matrices(), camera_angle_x=math.inf), "its lens cannot be used"),
    ],
)
def test_what_cannot_be_told_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"t.json.*{reason}"):
        read_transforms(content, "t.json", up="z")


@pytest.mark.parametrize(
    ("camera", "reason"),
    [
        ("1 PINHOLE 64 48 40 40 20 24", "the optical axis is at pixel 20.0 of 64.0"),
        ("1 OPENCV 64 48 40 40 32 24 0.1 0 0 0", "distort the images"),
        ("1 FISHEYE 64 48 40 40 32 24", "expected ID, one of SIMPLE_PINHOLE, .*PARAMETERS"),
        ("1 PINHOLE 64", "expected ID, one of SIMPLE_PINHOLE, .*PARAMETERS"),
        ("1 PINHOLE 64 48 nan 40 32 24", "half the image at distance 1 is"),
        ("1 PINHOLE 64 48 40 40 32 24\n2 PINHOLE 64 48 50 50 32 24", "cameras of different fields of view"),
    ],
)
def test_a_lens_that_cannot_be_told_is_refused(camera: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"model/cameras.txt.*{reason}"):
        read_colmap(*colmap(upright_matrices(), camera), "model", up="z")
