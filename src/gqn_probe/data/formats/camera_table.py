"""Tables of cameras, ``cameras.csv``, as people and spreadsheets write them.

Columns are ``scene,image,x,y,z,yaw,pitch`` and optionally ``split`` (train, val or test), separated by commas,
semicolons or tabs. There is one row an image; the rows of a scene are consecutive.
"""

import csv
import math
import re
from collections.abc import Iterator
from io import StringIO
from itertools import zip_longest
from typing import NamedTuple

from gqn_probe.types import SPLITS

COLUMNS = ("scene", "image", "x", "y", "z", "yaw", "pitch")
ANGLES = ("radians", "degrees")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


class View(NamedTuple):
    """An image and its camera."""

    image: str  # path relative to the folder
    camera: tuple[float, ...]  # x, y, z, yaw, pitch; radians


class CameraScene(NamedTuple):
    """Name, split and views of one scene."""

    name: str
    split: str
    views: list[View]


def read_camera_table(content: bytes, label: str, *, angles: str) -> list[CameraScene]:
    """Read the scenes of a table, in its order; a ValueError names ``label``, line, value and remedy.

    Args:
        angles: unit of yaw and pitch: radians or degrees.
    """
    scenes: dict[str, CameraScene] = {}
    line_of: dict[str, int] = {}  # by image
    last = None
    for line, row in _rows(content, label, COLUMNS):
        where, name, image = f"{label}, line {line}", row["scene"], row["image"]
        split = row.get("split", "").lower() or "train"
        if split not in SPLITS:
            raise ValueError(f"{where}: split {split!r} of scene {name} is not train, val or test")
        if line_of.setdefault(image, line) != line:
            raise ValueError(f"{where}: image {image} is already in line {line_of[image]}: give it one row")
        if (split, name) != last:
            if name in scenes:
                raise ValueError(
                    f"{where}: the rows of scene {name} are not consecutive or in several splits: "
                    "put them together, with one split"
                )
            scenes[name], last = CameraScene(name, split, []), (split, name)
        scenes[name].views.append(View(image, _camera(row, where, angles)))
    return list(scenes.values())


def read_cameras(content: bytes, label: str, *, angles: str) -> list[tuple[float, ...]]:
    """Read cameras (x, y, z, yaw, pitch; radians) from a table without images; see ``read_camera_table``."""
    rows = _rows(content, label, COLUMNS[2:])
    return [_camera(row, f"{label}, line {line}", angles) for line, row in rows]


def _rows(content: bytes, label: str, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and cells, by column, of the rows that are not empty."""
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{label} is not UTF-8 ({error.reason}): save it as UTF-8") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    stated = re.match(r"\s*sep=(.)\n", text, re.IGNORECASE)  # Excel's first line
    text = text[stated.end() :] if stated else text
    head = text.partition("\n")[0]
    table = csv.reader(
        StringIO(text), delimiter=stated[1] if stated else max(",;\t", key=head.count), skipinitialspace=True
    )
    try:
        names = [name.strip().lower() for name in next(table, [])]
        if absent := [column for column in columns if column not in names]:
            raise ValueError(f"{label} has no column {', '.join(absent)}: its first line must be {','.join(columns)}")
        if twice := [column for column in columns if names.count(column) > 1]:
            raise ValueError(f"{label} has two columns {twice[0]}: leave one")
        line = 0
        for cells in table:
            values = [cell.strip() for cell in cells]
            while values and not values[-1]:
                values.pop()
            if not values:
                continue
            line = table.line_num + bool(stated)
            if len(values) > len(names):
                raise ValueError(
                    f"{label}, line {line} has {len(values)} cells where the head has {len(names)}: "
                    "write numbers with points, or part columns with semicolons"
                )
            yield line, dict(zip_longest(names, values, fillvalue=""))
    except csv.Error as error:
        raise ValueError(f"{label} is not a table ({error})") from None
    if not line:
        raise ValueError(f"{label} has no rows: expected one an image")


def _camera(row: dict[str, str], where: str, angles: str) -> tuple[float, ...]:
    *position, yaw, pitch = (_number(name, row[name], where) for name in COLUMNS[2:])
    if angles == "degrees":
        yaw, pitch = math.radians(yaw), math.radians(pitch)
    steepest, once = math.pi / 2 + 1e-3, 2 * math.pi + 1e-3
    if abs(pitch) > steepest or (angles == "radians" and abs(yaw) > once):
        remedy = "pitch is in -90..90"
        if angles == "radians":
            remedy = (
                "set data.angles=degrees if they are in degrees, else write yaw in -pi..pi and pitch in -pi/2..pi/2"
            )
        raise ValueError(f"{where}: yaw={row['yaw']} and pitch={row['pitch']} cannot be {angles}: {remedy}")
    return (*position, yaw, pitch)


def _number(name: str, cell: str, where: str) -> float:
    """Return the number in a cell; spreadsheets in many languages write 1,5 for 1.5."""
    try:
        number = float(cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where}: {name} is {cell or 'empty'}: give a finite number, such as 1.5")
    return number
