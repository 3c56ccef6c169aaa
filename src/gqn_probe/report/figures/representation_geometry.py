"""Count against count: the confusion matrix, how alike r is at two counts, and how it moves between them."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.study_results import Study

GEOMETRY = {
    "drift": "drift of mean r\n(share of its length)",
    "turn": "turn of mean r\n(degrees)",
    "participation_ratio": "dimensions\n(participation ratio)",
}


def confusion(study: Study) -> Figure | None:
    """Share of the rows of each true count that were read as each count; rows sum to one."""
    if not study.headline_confusion:
        return None
    counts, table = _square(study.headline_confusion)
    share = np.nan_to_num(table / np.maximum(np.nansum(table, axis=1, keepdims=True), 1))
    figure = _heat_map(counts, share, "share of the true count's rows", low=0.0)
    figure.axes[0].set(xlabel=f"count read from {study.given}", ylabel="true count")
    return figure


def similarity(study: Study) -> Figure | None:
    """Debiased linear CKA of r between counts, on the same objects."""
    cells = [(s.count_a, s.count_b, s.value) for s in study.similarity if s.metric == "cka"]
    if not cells:
        return None
    cells += [(b, a, value) for a, b, value in cells]
    counts, table = _square(cells)
    figure = _heat_map(counts, table, "linear CKA, debiased", low=None)
    figure.axes[0].set(xlabel=study.count_axis, ylabel=study.count_axis)
    return figure


def geometry(study: Study) -> Figure | None:
    """What each further image does to the mean of r, and over how many dimensions objects spread."""
    points = {m: [(s.count_b, s.value) for s in study.similarity if s.metric == m] for m in GEOMETRY}
    points = {metric: found for metric, found in points.items() if found}
    if not points:
        return None
    figure = style.blank(5.2, 0.5 + 1.5 * len(points))
    panels = figure.subplots(len(points), sharex=True, squeeze=False)[:, 0]
    for i, (axes, (metric, found)) in enumerate(zip(panels, points.items(), strict=True)):
        color, marker, dash = style.SERIES[i]
        axes.plot(*zip(*sorted(found), strict=True), color=color, marker=marker, linestyle=dash, clip_on=False)
        axes.set_ylabel(GEOMETRY[metric])
        axes.set_ylim(bottom=0)
    style.count_axis(panels[-1], sorted({count for found in points.values() for count, _ in found}), study.count_axis)
    figure.align_ylabels()
    return figure


def _square(cells: list[tuple[int, int, float]]) -> tuple[list[int], Float[np.ndarray, "a b"]]:
    """The counts, and the table of values over them; NaN where none was given."""
    counts = sorted({count for row, column, _ in cells for count in (row, column)})
    table = np.full((len(counts), len(counts)), np.nan)
    for row, column, value in cells:
        table[counts.index(row), counts.index(column)] = value
    return counts, table


def _heat_map(counts: list[int], table: Float[np.ndarray, "a b"], label: str, *, low: float | None) -> Figure:
    figure = style.blank(5.2, 4.4)
    axes = figure.add_subplot()
    edges = np.arange(len(counts) + 1) - 0.5
    image = axes.pcolormesh(edges, edges, table, cmap="cividis", vmin=low, edgecolors="face", linewidth=0.2)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xticks(range(len(counts)), [str(c) for c in counts])
    axes.set_yticks(range(len(counts)), [str(c) for c in counts])
    for (row, column), value in np.ndenumerate(table):
        red, green, blue, _ = image.to_rgba(value)
        dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
        if np.isfinite(value) and (value >= 0.005 or low is None):
            text = f"{value:.2f}".replace("0.", ".", 1)
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=6,
                color="#fefefe" if dark else "#111111",
            )
    bar = figure.colorbar(image, ax=axes, label=label, shrink=0.85)
    bar.outline.set_visible(False)
    return figure
