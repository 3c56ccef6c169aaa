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
from gqn_probe.report.figures.predicted_views import show
from gqn_probe.report.study_results import Study


@study_figure(
    "predictions",
    "One image shows one side and hides how deep the object is. Left: predicted from beside its camera, where the "
    "network should be sure (spread of samples: black). Right: from a right angle to it, where it should be unsure of "
    "what was hidden; and from all images. Errors are root mean squares in grey levels, 0 to 255.",
)
def hidden_sides(study: Study) -> Figure | None:
    """A row an object: the image given; truth, prediction and spread of either side; the hidden one from all images."""
    path = study.folder / "viewer" / "viewer.json"
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if "context" not in told or told["samples"] < 2:
        return None
    least, most = told["counts"][0], told["counts"][-1]
    kinds = [("truth", None), ("mean", least), ("spread", least)]
    columns = [(side, *kind) for side in ("same side", "from aside") for kind in kinds] + [("from aside", "mean", most)]
    figure = style.blank(10.3, 0.5 + 1.5 * told["objects"])
    grid = figure.subplots(told["objects"], 1 + len(columns), squeeze=False)
    for thing, row in enumerate(grid):
        show(row[0], _tile(path.parent, told, f"{thing}-context", 0, max(told["counts"])))
        places: dict[str, int] = dict(zip(("same side", "from aside"), sides(told, thing), strict=True))
        for axes, column in zip(row[1:], columns, strict=True):
            _draw(axes, path.parent, told, thing, places[column[0]], *column[1:])
    images = f"{least} image{'s' * (least > 1)}"
    words = {"truth": "{}", "mean": "from {}", "spread": "spread"}
    titles = [words[kind].format(side if count is None else images) for side, kind, count in columns[:-1]]
    for axes, title in zip(grid[0], ["image given", *titles, f"from {most}"], strict=True):
        axes.set_title(title, fontsize=9.5)
    return figure


def sides(told: dict[str, Any], thing: int) -> tuple[int, int]:
    """The viewer's cameras that are nearest to the first image's, and to a right angle to it; places in a sheet."""
    given = _direction(*told["context"][thing][0])
    rings = [_direction(360 * a / told["azimuths"], e) for e in told["elevations"] for a in range(told["azimuths"])]
    cosine = np.stack(rings) @ given
    return int(cosine.argmax()), int(np.abs(cosine).argmin())


def _direction(azimuth: float, elevation: float) -> Float[np.ndarray, " 3"]:
    around, up = np.deg2rad(azimuth), np.deg2rad(elevation)
    return np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])


def _draw(axes: Axes, folder: Path, told: dict[str, Any], thing: int, place: int, kind: str, count: int | None) -> None:
    name = f"{thing}-{kind}" + ("" if count is None else f"-{count}")
    error = "" if kind != "mean" else f"error {told['errors'][thing][told['counts'].index(count)][place]:.0f}"
    show(axes, _tile(folder, told, name, place, told["azimuths"]), error)


def _tile(folder: Path, told: dict[str, Any], name: str, place: int, columns: int) -> UInt8[np.ndarray, "h w 3"]:
    """One picture of a sheet."""
    size = told["size"]
    left, top = place % columns * size, place // columns * size
    with Image.open(folder / f"{name}.webp") as sheet:
        return np.asarray(sheet.convert("RGB").crop((left, top, left + size, top + size)))
