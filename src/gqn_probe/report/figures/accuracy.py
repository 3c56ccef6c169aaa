"""What changes with the number of context images: accuracy, reconstruction error, knowledge of the object."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.results import Result
from gqn_probe.study_results import DECODABILITY, Study

TARGETS = {
    "parts": "number of cubes",
    "positions": "cubes' positions",
    "color": "mean colour",
    "colors": "cubes' colours",
    "direction": "mean viewing direction",
    "coverage": "coverage of directions",
}  # whose names alone would not do

ERRORS = {
    "rmse": "reconstruction",
    "sample_rmse": "prior sample",
    "shuffled_rmse": "sample, another scene's r",
    "nearest_rmse": "nearest context view",
    "mean_rmse": "mean image",
}


def accuracy_by_count(study: Study) -> Figure | None:
    """Accuracy of the probe and of the norm-only control at each true count, with 95 % bands and chance."""
    if not study.series("accuracy", probe=study.probe):
        return None
    figure = style.blank(5.2, 3.5)
    draw_accuracy(study, figure.add_subplot())
    return figure


def draw_accuracy(study: Study, axes: Axes) -> None:
    """The lines of ``accuracy_by_count`` on axes of the caller's."""
    whole = study.series("accuracy", probe=study.probe)
    norm = study.series("accuracy", control="norm", probe=study.probe)
    _line(axes, whole, f"{study.label(study.probe)} probe on {study.given}", 0)
    _line(axes, norm, study.control_label("norm", study.input), 1)
    style.chance_line(axes, study.chance)
    style.count_axis(axes, sorted({r.count for r in whole + norm if r.count is not None}), study.count_axis)
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1.02)
    style.legend_above(axes)


def reconstruction_error(study: Study) -> Figure | None:
    """RMSE of the query (0..255): reconstructed, sampled, and what no use of the context would give."""
    lines = {name: study.reconstruction_series(metric) for metric, name in ERRORS.items()}
    lines = {name: rows for name, rows in lines.items() if rows}
    if not lines:
        return None
    figure = style.blank(5.2, 3.5)
    axes = figure.add_subplot()
    for i, (name, rows) in enumerate(lines.items()):
        _line(axes, rows, name, i)
    style.count_axis(
        axes, sorted({r.count for rows in lines.values() for r in rows if r.count is not None}), study.count_axis
    )
    axes.set_ylabel("RMSE (grey levels, 0–255)")
    axes.set_ylim(bottom=0)
    style.legend_above(axes)
    return figure


def decodability(study: Study) -> Figure | None:
    """How well r tells the object and the views, a panel a metric, beside knowing nothing."""
    panels: dict[str, list[tuple[str, list[Result]]]] = {}
    for target, metric, rows in study.decodability_series():
        panels.setdefault(metric, []).append((target, rows))
    if not panels:
        return None
    figure = style.blank(5.2, 0.4 + 2.9 * len(panels))
    for axes, (metric, lines) in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels.items(), strict=True):
        for i, (target, rows) in enumerate(lines):
            _line(axes, rows, TARGETS.get(target, target), i)
            commonest = study.series("chance", target=target, probe=rows[0].probe)
            color = style.SERIES[i % len(style.SERIES)][0]
            axes.plot([r.count for r in commonest], [r.value for r in commonest], color=color, **style.GUESS)
        if metric == "r2":
            axes.axhline(0, color=style.MUTED, **style.GUESS)
        style.count_axis(
            axes, sorted({r.count for _, rows in lines for r in rows if r.count is not None}), study.count_axis
        )
        axes.set_ylabel(DECODABILITY[metric])
        style.legend_above(axes)
    return figure


def _line(axes: Axes, rows: Sequence[Result], label: str, index: int) -> None:
    """One series with its interval as a band; nothing where there are no rows."""
    if not rows:
        return
    color, marker, dash = style.SERIES[index % len(style.SERIES)]
    counts = np.array([r.count for r in rows], dtype=float)
    axes.plot(counts, [r.value for r in rows], color=color, marker=marker, linestyle=dash, label=label)
    low, high = (np.array([getattr(r, bound) for r in rows], dtype=float) for bound in ("low", "high"))
    axes.fill_between(counts, low, high, color=color, alpha=style.BAND, linewidth=0)
