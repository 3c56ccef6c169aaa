"""r of all objects and counts in the plane: along two principal axes, and by a map of its neighbourhoods."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.study_results import Study
from gqn_probe.results import percent

SHAPES = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.ORANGE)  # of the commonest; others are grey


@study_figure(
    "similarity",
    "Every object at every count along the first two principal axes of r, with the share of the variance along each. "
    "First: r itself, a sum that grows with the count. The others: r divided by the count, coloured by count, by shape "
    "(the five commonest; others grey), and by the mean colour of each object's cubes.",
)
def embedding(study: Study) -> Figure | None:
    """Draw r by count, and r / count by count, shape and mean colour, along two principal axes."""
    if not (data := study.arrays("embedding")):
        return None
    schemes = _color_schemes(data, data["counts"])
    planes = [
        ("sum", "r, by count", schemes["count"]),
        *(("mean", f"r / count, by {n}", k) for n, k in schemes.items()),
    ]
    figure = style.new_figure(3.0, wide=True)
    grid = figure.subplots(1, len(planes), squeeze=False)[0]
    for axes, (name, title, scheme) in zip(grid, planes, strict=True):
        first, second = (percent(float(share), 0) for share in data[f"{name}_share"][:2])
        points = _scatter(axes, data[name], scheme)
        axes.set(title=title, xlabel=f"axis 1 ({first} of variance)", ylabel=f"axis 2 ({second})")
        if axes is grid[0]:
            _count_colorbar(figure, axes, points, study)
    return figure


def _neighbourhoods_caption(study: Study) -> str:
    method = study.arrays("embedding").get("neighbours_method", "UMAP")
    return (
        f"The same in a map that keeps near neighbours together ({method} of r divided by the count): neighbours share "
        "what r mostly represents. Distances between far groups mean nothing."
    )


@study_figure("similarity", _neighbourhoods_caption, folded=True)
def neighbourhoods(study: Study) -> Figure | None:
    """Draw a map of neighbourhoods by count, shape and colour, where a library for it was installed."""
    data = study.arrays("embedding")
    if "neighbours" not in data:
        return None
    schemes = _color_schemes(data, data["neighbours_counts"])
    figure = style.new_figure(3.6, wide=True)
    grid = figure.subplots(1, len(schemes), squeeze=False)[0]
    for axes, (name, scheme) in zip(grid, schemes.items(), strict=True):
        points = _scatter(axes, data["neighbours"], scheme)
        axes.set_title(f"by {name}")
        if name == "count":
            _count_colorbar(figure, axes, points, study)
    return figure


def _color_schemes(data: dict[str, np.ndarray], counts: Int[np.ndarray, " k"]) -> dict[str, dict[str, Any]]:
    """Return the dots' colours by count, shape and mean colour, for rows of objects by counts."""
    objects = len(data["sum"])
    schemes: dict[str, dict[str, Any]] = {"count": {"c": np.tile(counts, objects), "cmap": "viridis"}}
    if "shape" in data:
        schemes["shape"] = {"c": np.repeat(_shape_colours(data["shape"]), len(counts))}
    if "color" in data:
        schemes["mean colour"] = {"c": np.repeat(data["color"].clip(0, 1), len(counts), axis=0)}
    return schemes


def _shape_colours(shape: Int[np.ndarray, " s"]) -> list[str]:
    kinds, numbers = np.unique(shape, return_counts=True)
    commonest = kinds[np.argsort(-numbers, kind="stable")][: len(SHAPES)].tolist()
    return [SHAPES[commonest.index(each)] if each in commonest else style.RULE for each in shape.tolist()]


def _scatter(axes: Axes, points: Float[np.ndarray, "s k axis"], scheme: dict[str, Any]) -> Any:
    """Plot the first two axes of all rows, as pixels."""
    flat = points.reshape(-1, points.shape[-1])
    drawn = axes.scatter(flat[:, 0], flat[:, 1], s=6, linewidths=0, alpha=0.75, rasterized=True, **scheme)
    axes.set(xticks=[], yticks=[])
    return drawn


def _count_colorbar(figure: Figure, axes: Axes, points: Any, study: Study) -> None:
    figure.colorbar(points, ax=axes, label=study.count_axis, shrink=0.85).outline.set_visible(False)
