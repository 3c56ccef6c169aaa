"""Predicted and posterior views at several counts beside the true view, and their error."""

from itertools import product

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.study_results import Study

SHOWN = (2, 4, 8, 15)  # the counts a strip shows, where the study has most of them
ERRORS = {
    "sample_rmse": "predicted",
    "shuffled_rmse": "from another scene's r",
    "nearest_rmse": "nearest context image",
    "mean_rmse": "mean image",
    "rmse": "posterior (sees the view)",
}
KINDS = {"truth": "true view", "sample": "predicted", "reconstruction": "posterior"}


def _caption(study: Study) -> str:
    seen = study.pictures.get("query_seen")
    star = " * The view is among the context images." if seen is not None and seen.any() else ""
    return (
        "Views that are not among the context images. Predicted: one sample from r and the camera alone (the prior). "
        "Posterior: drawn when the network also sees the view itself, the best that it can draw. RMSE in grey levels, "
        "0 to 255." + star
    )


@study_figure("predictions", _caption)
def reconstructions(study: Study, scenes: int = 3) -> Figure | None:
    """Draw the true view of a few scenes, and the predicted and posterior views at each shown count.

    The true view is a column where all counts share one query, as in the study, and a row where each has its own.
    """
    counts = shown_counts(study)
    if not counts:
        return None
    shared = one_query(study)
    kinds = list(KINDS)[shared:]
    shown = range(len(study.pictures[f"truth_{counts[0]}"][:scenes]))
    figure = style.new_figure(0.5 + 0.98 * len(shown) * len(kinds))
    grid = figure.subplots(len(shown) * len(kinds), shared + len(counts), squeeze=False)
    for row, (scene, kind) in zip(grid, product(shown, kinds), strict=True):
        if shared:
            show_image(row[0], study.pictures[f"truth_{counts[0]}"][scene])
        row[0].set_ylabel(KINDS[kind], fontsize=8.5)
        for axes, count in zip(row[shared:], counts, strict=True):
            drawn, true = (study.pictures[f"{each}_{count}"][scene] for each in (kind, "truth"))
            show_image(axes, drawn, "" if kind == "truth" else f"RMSE {rmse(drawn, true):.0f}")
    titles = [KINDS["truth"]] * shared + [count_title(study, k) for k in counts]
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=9)
    return figure


@study_figure(
    "predictions",
    "Error of the predicted view by number of context images, beside three baselines: a prediction from another "
    "scene's r, the context image with the nearest camera, and the mean of all images. Bands: 95 % interval over "
    "objects.",
)
def reconstruction_error(study: Study) -> Figure | None:
    """Draw the error of the query (RMSE, 0 to 255) by count, beside baselines without use of the context."""
    return draw_by_count(study, ERRORS, "RMSE (grey levels, 0–255)")


def draw_by_count(study: Study, names: dict[str, str], unit: str) -> Figure | None:
    """Draw those of the named metrics of predictions that the study has, by count."""
    lines = {name: rows for metric, name in names.items() if (rows := study.reconstruction_series(metric))}
    if not lines:
        return None
    figure = style.new_figure(3.5)
    axes = figure.add_subplot()
    for i, (name, rows) in enumerate(lines.items()):
        style.plot_series(axes, rows, name, i)
    counts = {row.count for rows in lines.values() for row in rows if row.count is not None}
    style.count_axis(axes, sorted(counts), study.count_axis)
    axes.set_ylabel(unit)
    axes.set_ylim(bottom=0)
    style.legend_above(axes)
    return figure


def shown_counts(study: Study) -> list[int]:
    """Return 2, 4, 8 and 15 where the study has pictures of three of them, else four of its own counts at most."""
    if not (counts := _counts(study)):
        return []
    usual = [k for k in SHOWN if k in counts]
    spread = [counts[i] for i in np.unique(np.linspace(0, len(counts) - 1, 4).round().astype(int))]
    return usual if len(usual) >= 3 else spread


def one_query(study: Study) -> bool:
    """Return True if all counts share one query per scene; the original study draws another for each."""
    first, *rest = (study.pictures[f"truth_{count}"] for count in _counts(study))
    return all(np.array_equal(first, other) for other in rest)


def count_title(study: Study, count: int) -> str:
    """Return the count in words, starred where the query was among the context."""
    seen = study.pictures.get("query_seen")
    star = seen is not None and np.any(seen[..., _counts(study).index(count)])
    return f"{count} image{'s' * (count > 1)}{'*' * bool(star)}"


def _counts(study: Study) -> list[int]:
    """Return the counts that the study has pictures of."""
    return np.atleast_1d(study.pictures.get("counts", [])).astype(int).tolist()


def rmse(drawn: UInt8[np.ndarray, "h w c"], true: UInt8[np.ndarray, "h w c"]) -> float:
    """Return the root mean squared error of a picture in grey levels, 0 to 255."""
    return float(np.sqrt(np.mean((drawn.astype(float) - true.astype(float)) ** 2)))


def show_image(axes: Axes, image: UInt8[np.ndarray, "h w c"], below: str = "") -> None:
    """Show a picture pixel for pixel, without ticks or frame, with a line of text below."""
    axes.imshow(image, interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_xlabel(below, fontsize=8, labelpad=2)
