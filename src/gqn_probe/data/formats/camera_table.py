"""Tables of cameras, ``cameras.csv``, as people and spreadsheets write them.

Columns are ``scene,image,x,y,z,yaw,pitch`` and optionally ``split`` (train, val or test), separated by commas,
semicolons or tabs. There is one row an image; the rows of a scene are consecutive.
"""

import csv
import math
import re
from collections.abc import Iterator
from io import StringIO
from itertools import groupby
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
    """Read the scenes of a table, in its order.

    Args:
        label: name of the table in messages.
        angles: unit of yaw and pitch: radians or degrees.

    Raises:
        ValueError: names line, value and remedy.
    """
    rows = _rows(content, label)
    views: dict[int, View] = {}
    lines: dict[str, int] = {}
    for line, row in rows:
        where = f"{label}, line {line}"
        if row["image"] in lines:
            raise ValueError(f"{where}: image {row['image']} is already in line {lines[row['image']]}: give it one row")
        lines[row["image"]] = line
        views[line] = View(row["image"], _camera(row, where, angles))
    scenes: list[CameraScene] = []
    for (split, name), group in groupby(rows, lambda item: (_split(item[1]), item[1]["scene"])):
        own = [line for line, _ in group]
        if split not in SPLITS:
            raise ValueError(f"{label}, line {own[0]}: split {split!r} of scene {name} is not train, val or test")
        if name in {scene.name for scene in scenes}:
            raise ValueError(
                f"{label}, line {own[0]}: the rows of scene {name} are not consecutive or in several splits: "
                "put them together, with one split"
            )
        scenes.append(CameraScene(name, split, [views[line] for line in own]))
    return scenes


def read_cameras(content: bytes, label: str, *, angles: str) -> list[tuple[float, ...]]:
    """Read cameras (x, y, z, yaw, pitch; radians) from a table without images; see ``read_camera_table``."""
    rows = _rows(content, label, COLUMNS[2:])
    return [_camera(row, f"{label}, line {line}", angles) for line, row in rows]


def _rows(content: bytes, label: str, columns: tuple[str, ...] = COLUMNS) -> list[tuple[int, dict[str, str]]]:
    """Return line number and cells, by column, of the rows that are not empty."""
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{label} is not UTF-8 ({error.reason}): save it as UTF-8") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    stated = re.match(r"\s*sep=(.)\n", text, re.IGNORECASE)  # Excel's first line
    first_line = 2 if stated else 1
    text = text[stated.end() :] if stated else text
    head = text.partition("\n")[0]
    delimiter = stated[1] if stated else max(",;\t", key=head.count)
    table = _lines(text, delimiter, label)
    names = [name.strip().lower() for name in next(table, [])]
    absent = [column for column in columns if column not in names]
    if absent:
        raise ValueError(f"{label} has no column {', '.join(absent)}: its first line must be {','.join(columns)}")
    twice = [name for name in columns if names.count(name) > 1]
    if twice:
        raise ValueError(f"{label} has two columns {twice[0]}: leave one")
    rows = []
    for line, cells in enumerate(table, start=first_line + 1):
        values = [cell.strip() for cell in cells]
        if not any(values):
            continue
        filled = len(values) - next((n for n, value in enumerate(reversed(values)) if value), 0)
        if filled > len(names) or len(values) < len(columns):
            hint = ": write numbers with points, or part columns with semicolons" if filled > len(names) else ""
            raise ValueError(f"{label}, line {line} has {filled} cells where the head has {len(names)}{hint}")
        rows.append((line, dict(zip(names, values + [""] * len(names), strict=False))))
    if not rows:
        raise ValueError(f"{label} has no rows: expected one an image")
    return rows


def _split(row: dict[str, str]) -> str:
    return row.get("split", "").lower() or "train"


def _lines(text: str, delimiter: str, label: str) -> Iterator[list[str]]:
    """Yield the cells of one line after the other, so that nothing is read after the first error."""
    try:
        yield from csv.reader(StringIO(text), delimiter=delimiter, skipinitialspace=True)
    except csv.Error as error:
        raise ValueError(f"{label} is not a table ({error})") from None


def _camera(row: dict[str, str], where: str, angles: str) -> tuple[float, ...]:
    *position, yaw, pitch = (_number(name, row[name], where) for name in COLUMNS[2:])
    if angles == "degrees":
        yaw, pitch = math.radians(yaw), math.radians(pitch)
    steepest, once = math.pi / 2 + 1e-3, 2 * math.pi + 1e-3
    if abs(pitch) > steepest or (angles == "radians" and abs(yaw) > once):
        remedy = "set data.angles=degrees if they are in degrees" if angles == "radians" else "pitch is in -90..90"
        raise ValueError(f"{where}: yaw={row['yaw']} and pitch={row['pitch']} cannot be {angles}: {remedy}")
    return (*position, yaw, pitch)


def _number(name: str, cell: str, where: str) -> float:
    """Return the number in a cell; spreadsheets in many languages write 1,5 for 1.5."""
    try:
        number = float(cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell)
    except ValueError:
        raise ValueError(f"{where}: {name} is {repr(cell) if cell else 'empty'}: give a number, such as 1.5") from None
    if not math.isfinite(number):
        raise ValueError(f"{where}: {name} is {cell}: give a finite number")
    return number
