"""What changes with the number of context images: accuracy, reconstruction error, knowledge of the object."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.results import Result, Study

PREFERRED = (
    "accuracy",
    "r2",
    "cosine",
    "spearman",
    "balanced_accuracy",
)  # a target's own metric, first found
UNITS = {
    "accuracy": "accuracy",
    "r2": "variance explained (R²)",
    "cosine": "cosine",
    "spearman": "Spearman ρ",
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
    _line(axes, whole, f"{study.label(study.probe)} probe on r", 0)
    _line(axes, norm, "norm of r only", 1)
    style.chance_line(axes, study.chance)
    style.count_axis(axes, sorted({r.count for r in whole + norm if r.count is not None}))
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1.02)
    axes.legend(loc="best")


def reconstruction_error(study: Study) -> Figure | None:
    """RMSE of the query's reconstruction (0..255), and of a prior sample where there is one."""
    found = {r.metric for r in study.results if r.target == "reconstruction" and r.metric.endswith("rmse")}
    lines = [(m, reconstruction_series(study, m)) for m in sorted(found)]
    lines = [(m, rows) for m, rows in lines if rows]
    if not lines:
        return None
    figure = style.blank(5.2, 3.2)
    axes = figure.add_subplot()
    names = {"rmse": "reconstruction", "sample_rmse": "prior sample"}
    for i, (metric, rows) in enumerate(lines):
        _line(axes, rows, names.get(metric, metric.replace("_", " ")), i)
    style.count_axis(axes, sorted({r.count for _, rows in lines for r in rows if r.count is not None}))
    axes.set_ylabel("RMSE (grey levels, 0–255)")
    axes.set_ylim(bottom=0)
    if len(lines) > 1:
        axes.legend(loc="best")
    return figure


def reconstruction_series(study: Study, metric: str = "rmse") -> list[Result]:
    """The reconstruction error by count."""
    return study.series(metric, target="reconstruction", control="", probe="", input="")


def decodability(study: Study) -> Figure | None:
    """How well a linear read-out of r tells the object's own properties, a panel a metric."""
    panels: dict[str, list[tuple[str, list[Result]]]] = {}
    for target in object_targets(study):
        for metric in PREFERRED:
            rows = study.series(metric, target=target, probe=study.probe)
            if rows:
                panels.setdefault(metric, []).append((target, rows))
                break
    if not panels:
        return None
    figure = style.blank(5.2, 0.4 + 2.6 * len(panels))
    for axes, (metric, lines) in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels.items(), strict=True):
        for i, (target, rows) in enumerate(lines):
            _line(axes, rows, study.label(target), i)
        style.count_axis(axes, sorted({r.count for _, rows in lines for r in rows if r.count is not None}))
        axes.set_ylabel(UNITS.get(metric, metric.replace("_", " ")))
        axes.legend(loc="best")
    return figure


def object_targets(study: Study) -> list[str]:
    """The properties of the object that the study decoded, in the order of the file."""
    return list(dict.fromkeys(r.target for r in study.results if r.target not in ("count", "reconstruction")))


def _line(axes: Axes, rows: Sequence[Result], label: str, index: int) -> None:
    """One series with its interval as a band; nothing where there are no rows."""
    if not rows:
        return
    color, marker, dash = style.SERIES[index % len(style.SERIES)]
    counts = np.array([r.count for r in rows], dtype=float)
    axes.plot(counts, [r.value for r in rows], color=color, marker=marker, linestyle=dash, label=label)
    low, high = (np.array([getattr(r, bound) for r in rows], dtype=float) for bound in ("low", "high"))
    axes.fill_between(counts, low, high, color=color, alpha=style.BAND, linewidth=0)
