"""r of all objects and counts in the plane: along its two leading principal axes, and by its neighbourhoods."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.study_results import Study

SHAPES = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.ORANGE)  # of the commonest; others are grey


@study_figure(
    "similarity",
    "Every object at every count along the two principal axes of r, with the share of the variance that each axis "
    "holds. First: r as it is, where the sum grows with the count. The others: r divided by the count, which takes "
    "that away; by count, by shape (the five commonest; others grey), and in the mean colour of each object's cubes.",
)
def embedding(study: Study) -> Figure | None:
    """Planes of r by count, and of r / count by count and by the objects' shapes and colours where these are known."""
    told = _read(study)
    if told is None:
        return None
    looks = _looks(told, told["counts"])
    planes = [("sum", "r, by count", looks["count"]), *(("mean", f"r / count, by {n}", k) for n, k in looks.items())]
    figure = style.blank(10.3, 3.0)
    grid = figure.subplots(1, len(planes), squeeze=False)[0]
    for axes, (name, title, look) in zip(grid, planes, strict=True):
        share = told[f"{name}_share"]
        points = _plane(axes, told[name], look)
        axes.set(title=title, xlabel=f"axis 1 ({share[0]:.0%} of variance)", ylabel=f"axis 2 ({share[1]:.0%})")
        if axes is grid[0]:
            _count_bar(figure, axes, points, study)
    return figure


def _neighbourhoods_caption(study: Study) -> str:
    told = _read(study) or {}
    method = told.get("neighbours_method", "UMAP")
    return (
        f"The same in a plane that keeps near rows together ({method} of r divided by the "
        "count): what objects next to each other share is what r is most about. Distances between far groups mean "
        "nothing here."
    )


@study_figure("similarity", _neighbourhoods_caption)
def neighbourhoods(study: Study) -> Figure | None:
    """The neighbours of each row, by count, shape and colour; where a library for it was installed."""
    told = _read(study)
    if told is None or "neighbours" not in told:
        return None
    looks = _looks(told, told["neighbours_counts"])
    figure = style.blank(10.3, 3.6)
    grid = figure.subplots(1, len(looks), squeeze=False)[0]
    for axes, (name, look) in zip(grid, looks.items(), strict=True):
        points = _plane(axes, told["neighbours"], look)
        axes.set_title(f"by {name}")
        if name == "count":
            _count_bar(figure, axes, points, study)
    return figure


def _read(study: Study) -> dict[str, np.ndarray] | None:
    path = study.folder / "embedding.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _looks(told: dict[str, np.ndarray], counts: Int[np.ndarray, " k"]) -> dict[str, dict[str, Any]]:
    """Colours of the dots by what they show, for rows of objects by counts."""
    objects = len(told["sum"])
    looks: dict[str, dict[str, Any]] = {"count": {"c": np.tile(counts, objects), "cmap": "viridis"}}
    if "shape" in told:
        looks["shape"] = {"c": np.repeat(_shape_colours(told["shape"]), len(counts))}
    if "color" in told:
        looks["mean colour"] = {"c": np.repeat(told["color"].clip(0, 1), len(counts), axis=0)}
    return looks


def _shape_colours(shape: Int[np.ndarray, " s"]) -> list[str]:
    kinds, numbers = np.unique(shape, return_counts=True)
    commonest = kinds[np.argsort(-numbers, kind="stable")][: len(SHAPES)].tolist()
    return [SHAPES[commonest.index(each)] if each in commonest else style.RULE for each in shape.tolist()]


def _plane(axes: Axes, points: Float[np.ndarray, "s k axis"], look: dict[str, Any]) -> Any:
    """The first two axes of all rows; few enough points for a page."""
    flat = points.reshape(-1, points.shape[-1])
    drawn = axes.scatter(flat[:, 0], flat[:, 1], s=6, linewidths=0, alpha=0.75, rasterized=True, **look)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    return drawn


def _count_bar(figure: Figure, axes: Axes, points: Any, study: Study) -> None:
    bar = figure.colorbar(points, ax=axes, label=study.count_axis, shrink=0.85)
    bar.outline.set_visible(False)
