"""Cameras as matrices: NeRF's ``transforms.json`` and COLMAP's text models.

``transforms.json`` (github.com/bmild/nerf, docs.nerf.studio): camera-to-world matrices whose columns are right, up,
backward and position. COLMAP's ``images.txt`` (colmap.github.io/format.html): world-to-camera rotation (a quaternion,
scalar first) and translation, with axes right, down and forward. All cameras of a data set must have one field of view,
a centred principal point, no distortion and no roll, because a network is given position, yaw and pitch alone.
"""

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from gqn_probe.data.formats.camera_table import View

ROLL = math.radians(1.0)  # largest that is ignored
UPS = {sign + name: float(f"{sign}1") * axis for sign in ("", "-") for name, axis in zip("xyz", np.eye(3), strict=True)}
# Number of focal lengths, which come before the principal point.
COLMAP_MODELS = {"SIMPLE_PINHOLE": 1, "PINHOLE": 2, "SIMPLE_RADIAL": 1, "RADIAL": 1, "OPENCV": 2}


class PosedViews(NamedTuple):
    """Views of one scene, and the field of view of their cameras."""

    views: list[View]
    half_width: float | None  # of the image at distance 1
    half_height: float | None  # None also if the file does not give the height of its images


def read_transforms(content: bytes, label: str, *, up: str) -> PosedViews:
    """Read the views of a ``transforms.json``, with paths of images as the file gives them.

    Args:
        label: name of the file in messages.
        up: axis of the file's world that points up: x, y, z, -x, -y or -z.

    Raises:
        ValueError: names file, frame and reason.
    """
    try:
        document = json.loads(content)
        frames = document["frames"]
        poses = [(str(frame["file_path"]), np.array(frame["transform_matrix"], dtype=float)) for frame in frames]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{label} is not a transforms.json ({error!r})") from None
    views = []
    for number, (image, matrix) in enumerate(poses):
        where = f"{label}, frame {number}"
        if matrix.shape not in ((4, 4), (3, 4)):
            raise ValueError(f"{where}: expected a matrix of 4x4, got {matrix.shape}")
        views.append(View(image, raw_camera(matrix[:3, :3] * [1, 1, -1], matrix[:3, 3], where, up)))
    if not views:
        raise ValueError(f"{label} has no frames")
    try:
        return PosedViews(views, *_half_sizes(document))
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ValueError(f"{label}: its lens cannot be used: {error}") from None


def _half_sizes(document: dict) -> tuple[float | None, float | None]:
    """Return half the width and half the height of the image at distance 1; None where the file gives too little."""
    width, height = document.get("w"), document.get("h")
    across = width / 2 / document["fl_x"] if "fl_x" in document and width else None
    down = height / 2 / document.get("fl_y", document["fl_x"]) if "fl_x" in document and height else None
    if across is None and "camera_angle_x" in document:
        across = math.tan(document["camera_angle_x"] / 2)
        down = across * height / width if width and height else None
    distortion = [document.get(name, 0.0) for name in ("k1", "k2", "k3", "p1", "p2")]
    _check_lens(distortion, [(document.get("cx"), width), (document.get("cy"), height)], (across, down))
    return across, down


def _check_lens(
    distortion: Sequence[float],
    middles: Sequence[tuple[float | None, float | None]],  # the optical axis, and the length of the image
    half_sizes: Sequence[float | None],
) -> None:
    if not all(abs(coefficient) <= 1e-6 for coefficient in distortion):
        raise ValueError(f"coefficients {distortion} distort the images: undistort them")
    for middle, length in middles:
        if middle is not None and length is not None and not abs(middle - length / 2) <= 0.01 * length:
            raise ValueError(f"the optical axis is at pixel {middle} of {length}: crop the images around it")
    if not all(half is None or 0 < half < math.inf for half in half_sizes):
        raise ValueError(f"half the image at distance 1 is {half_sizes}: expected lengths above 0")


def read_colmap(cameras: bytes, images: bytes, label: str, *, up: str) -> PosedViews:
    """Read the views of a COLMAP text model, from the contents of ``cameras.txt`` and ``images.txt``.

    Args:
        label: name of the folder in messages.
        up: see ``read_transforms``.

    Raises:
        ValueError: names file, line and reason.
    """
    lenses: dict[str, tuple[float, float]] = {}
    for line, cells in _lines(cameras):
        where = f"{label}/cameras.txt, line {line}"
        try:
            number, model, width, height = cells[0], cells[1], float(cells[2]), float(cells[3])
            count = COLMAP_MODELS[model]
            *focal, middle_x, middle_y = map(float, cells[4 : count + 6])
            distortion = [float(cell) for cell in cells[count + 6 :]]
            lenses[number] = width / 2 / focal[0], height / 2 / focal[-1]
            _check_lens(distortion, [(middle_x, width), (middle_y, height)], lenses[number])
        except (ValueError, LookupError, ZeroDivisionError) as error:
            known = ", ".join(COLMAP_MODELS)
            raise ValueError(f"{where}: expected ID, one of {known}, WIDTH HEIGHT PARAMETERS: {error}") from None
    if len({(round(across, 3), round(down, 3)) for across, down in lenses.values()}) != 1:
        raise ValueError(f"{label}/cameras.txt has cameras of different fields of view: {sorted(lenses.values())}")
    views = []
    for line, cells in _lines(images)[::2]:  # every second line lists points
        where = f"{label}/images.txt, line {line}"
        try:
            *quaternion, x, y, z = map(float, cells[1:8])
            to_world = Rotation.from_quat(quaternion, scalar_first=True).as_matrix().T
        except ValueError as error:
            raise ValueError(f"{where}: expected ID QW QX QY QZ TX TY TZ CAMERA NAME ({error})") from None
        axes = to_world * [1, -1, 1]  # columns right, up, forward
        views.append(View(" ".join(cells[9:]), raw_camera(axes, -to_world @ [x, y, z], where, up)))
    if not views:
        raise ValueError(f"{label}/images.txt has no images")
    return PosedViews(views, *next(iter(lenses.values())))


def _lines(content: bytes) -> list[tuple[int, list[str]]]:
    """Return number and words of the lines that are not comments; lines of points may be empty."""
    lines = content.decode("utf-8", errors="replace").splitlines()
    numbered = [(number, line.split()) for number, line in enumerate(lines, start=1) if not line.startswith("#")]
    while numbered and not numbered[-1][1]:
        numbered.pop()
    return numbered


def raw_camera(axes: np.ndarray, position: np.ndarray, where: str, up: str) -> tuple[float, ...]:
    """Return x, y, z, yaw and pitch of a camera.

    Args:
        axes: 3x3; its columns are the directions right, up and forward in the file's world.
        where: name of the camera in messages.
        up: axis of that world that points up.

    Raises:
        ValueError: the axes are no rotation, or the camera is rolled about its optical axis.
    """
    if not (np.isfinite(axes).all() and np.isfinite(position).all()):
        raise ValueError(f"{where}: a number is not finite")
    handed = (axes * [1, 1, -1]).clip(-2, 2)  # no product overflows
    if np.abs(handed.T @ handed - np.eye(3)).max() > 1e-2 or np.linalg.det(handed) < 0:
        raise ValueError(f"{where}: its matrix is not a rotation")
    turn = _rotation_to_z_up(up)
    position = turn @ position
    right, above, forward = (turn @ axes).T
    roll = math.atan2(right[2], above[2]) if abs(forward[2]) < 1 - 1e-4 else 0.0
    if abs(roll) > ROLL:
        raise ValueError(
            f"{where}: the camera is rolled by {math.degrees(roll):.1f} degrees, and a network is given no roll: "
            "set data.up to the axis that points up, or turn the world"
        )
    yaw, pitch = math.atan2(right[0], -right[1]), math.asin(max(-1.0, min(1.0, forward[2])))
    return (*position.tolist(), yaw, pitch)


def _rotation_to_z_up(up: str) -> np.ndarray:
    """Return the rotation that turns an axis to z."""
    axis = UPS[up]
    second = np.roll(np.abs(axis), -1)
    return np.stack([np.cross(second, axis), second, axis])


def joint_scale(scenes: Sequence[PosedViews], label: str, *, crop: str, aspect: float) -> float | None:
    """Return half the width, at distance 1, of the frames made of the images; None if no file gives it.

    Args:
        label: name of the data in messages.
        crop: see ``read_image``.
        aspect: height of the images divided by their width, for files that do not give it.

    Raises:
        ValueError: the cameras have different fields of view.
    """
    scales = [
        min(each.half_width, each.half_height or each.half_width * aspect) if crop == "center" else each.half_width
        for each in scenes
        if each.half_width is not None
    ]
    if scales and max(scales) - min(scales) > 1e-3:
        half_widths = f"{min(scales):.3f} to {max(scales):.3f} at distance 1"
        raise ValueError(f"{label}: cameras have different fields of view: half widths of {half_widths}")
    return scales[0] if scales else None
