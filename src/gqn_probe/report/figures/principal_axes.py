"""r of all objects and counts in the plane of its two leading principal axes."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.study_results import Study


@study_figure(
    "similarity",
    "Every object at every count along the two principal axes of r, with the share of the variance that each axis "
    "holds. Left: r as it is, where the sum grows with the count. Middle and right: r divided by the count, which "
    "takes that away; by count, and in the mean colour of each object's cubes.",
)
def embedding(study: Study) -> Figure | None:
    """Three planes: r by count, r / count by count, and by the objects' colours where these are known."""
    path = study.folder / "embedding.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        told = dict(file)
    counts = np.broadcast_to(told["counts"], told["sum"].shape[:2]).ravel()
    planes: list[tuple[str, str, dict[str, Any]]] = [
        ("sum", "r, by count", {"c": counts, "cmap": "viridis"}),
        ("mean", "r / count, by count", {"c": counts, "cmap": "viridis"}),
    ]
    if "color" in told:
        colors = np.repeat(told["color"].clip(0, 1), len(told["counts"]), axis=0)
        planes.append(("mean", "r / count, by mean colour", {"c": colors}))
    figure = style.blank(3.4 * len(planes) + 0.6, 3.4)
    grid = figure.subplots(1, len(planes), squeeze=False)[0]
    for axes, (name, title, look) in zip(grid, planes, strict=True):
        points = _plane(axes, told[name], told[f"{name}_share"], look)
        axes.set_title(title)
        if "cmap" in look and axes is grid[1]:
            bar = figure.colorbar(points, ax=axes, label=study.count_axis, shrink=0.85)
            bar.outline.set_visible(False)
    return figure


def _plane(axes: Axes, points: np.ndarray, share: np.ndarray, look: dict[str, Any]) -> Any:
    """The first two axes of all rows; few enough points for a page."""
    flat = points.reshape(-1, points.shape[-1])
    drawn = axes.scatter(flat[:, 0], flat[:, 1], s=7, linewidths=0, alpha=0.75, rasterized=True, **look)
    axes.set(xlabel=f"axis 1 ({share[0]:.0%} of variance)", ylabel=f"axis 2 ({share[1]:.0%})", xticks=[], yticks=[])
    axes.grid(visible=False)
    return drawn
