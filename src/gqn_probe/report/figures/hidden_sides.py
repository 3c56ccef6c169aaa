"""Predictions of the side that one image shows and of one that it hides, from the viewer's pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.figures.predicted_views import show_image
from gqn_probe.report.study_results import Study


def _caption(study: Study) -> str:
    white = (_read(study.folder / "viewer") or {}).get("white", "")
    return (
        "One image shows one side of the object. Near view: from beside its camera, where samples should agree. Side "
        "view: at a right angle to it, where they should differ about what was hidden. Spread: standard deviation of "
        f"samples, from black (0) to white ({white} grey levels). Errors are RMSE in grey levels, 0 to 255."
    )


@study_figure("predictions", _caption)
def hidden_sides(study: Study) -> Figure | None:
    """Draw a row for each object: the given image, then truth, prediction and spread from two sides."""
    folder = study.folder / "viewer"
    data = _read(folder)
    if data is None or data["samples"] < 2 or data["errors"] is None:  # nothing is known of sides without an image
        return None
    least, most = data["counts"][0], data["counts"][-1]
    kinds = [("truth", None), ("mean", least), ("spread", least)]
    columns = [(side, *kind) for side in ("near view", "side view") for kind in kinds] + [("side view", "mean", most)]
    figure = style.new_figure(0.5 + 1.4 * data["objects"], wide=True)
    grid = figure.subplots(data["objects"], 1 + len(columns), squeeze=False)
    for thing, row in enumerate(grid):
        show_image(row[0], _tile(folder, data, f"{thing}-context", 0, max(data["counts"])))
        places: dict[str, int] = dict(zip(("near view", "side view"), near_and_side_cameras(data, thing), strict=True))
        for axes, column in zip(row[1:], columns, strict=True):
            _draw(axes, folder, data, thing, places[column[0]], *column[1:])
    images = f"{least} image{'s' * (least > 1)}"
    words = {"truth": "{}:\ntruth", "mean": "predicted\nfrom {}", "spread": "spread"}
    titles = [words[kind].format(side if count is None else images) for side, kind, count in columns[:-1]]
    for axes, title in zip(grid[0], ["image given", *titles, f"predicted\nfrom {most}"], strict=True):
        axes.set_title(title, fontsize=9.5)
    return figure


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / "viewer.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def near_and_side_cameras(data: dict[str, Any], thing: int) -> tuple[int, int]:
    """Return the viewer's cameras nearest to the first image's, and nearest to a right angle from it."""
    given = _direction(*data["context"][thing][0])
    rings = [_direction(360 * a / data["azimuths"], e) for e in data["elevations"] for a in range(data["azimuths"])]
    cosine = np.stack(rings) @ given
    return int(cosine.argmax()), int(np.abs(cosine).argmin())


def _direction(azimuth: float, elevation: float) -> Float[np.ndarray, " 3"]:
    around, up = np.deg2rad(azimuth), np.deg2rad(elevation)
    return np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])


def _draw(axes: Axes, folder: Path, data: dict[str, Any], thing: int, place: int, kind: str, count: int | None) -> None:
    name = f"{thing}-{kind}" + ("" if count is None else f"-{count}")
    error = "" if kind != "mean" else f"error {data['errors'][thing][data['counts'].index(count)][place]:.0f}"
    show_image(axes, _tile(folder, data, name, place, data["azimuths"]), error)


def _tile(folder: Path, data: dict[str, Any], name: str, place: int, columns: int) -> UInt8[np.ndarray, "h w 3"]:
    """Return one picture of a sheet."""
    size = data["size"]
    left, top = place % columns * size, place // columns * size
    with Image.open(folder / f"{name}.webp") as sheet:
        return np.asarray(sheet.convert("RGB").crop((left, top, left + size, top + size)))
