"""Curves of a training run, read from its ``metrics.csv``: errors beside baselines, likelihood, probes, schedules."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from scipy.ndimage import median_filter

from gqn_probe.report import style
from gqn_probe.report.glossary import target_label
from gqn_probe.report.html_elements import figures

Metrics = dict[str, tuple[list[float], list[float]]]  # steps and values of each column

BY_COUNT = re.compile(r"val/context_(\d+)/sample/rmse")
PROBES = re.compile(r"val/probe/(?P<target>[^/]+)/(?P<probe>[^/]+)(?:/context_(?P<count>\d+))?")
NOISY = 100  # points from which a curve is smoothed
SMOOTHED = 25  # windows that the curve is divided into


class Curve(NamedTuple):
    """Column of metrics.csv with its label."""

    column: str
    label: str


class CurveFigure(NamedTuple):
    """Curves, axes and caption of a figure."""

    curves: Sequence[Curve]
    unit: str
    scale: str  # "linear" or "log"
    caption: str


GREY = "RMSE (grey levels, 0–255)"
ERRORS = (
    Curve("val/sample/rmse", "prediction"),
    Curve("val/shuffled/rmse", "from another scene's context"),
    Curve("val/nearest_view/rmse", "nearest context view"),
    Curve("val/mean_image/rmse", "mean image"),
)
FIGURES = {
    "errors": CurveFigure(
        ERRORS,
        GREY,
        "linear",
        "Error of predicted views of validation objects, beside three baselines: predictions from another scene's "
        "context, the context image with the nearest camera, and the mean of all images.",
    ),
    "likelihood": CurveFigure(
        (Curve("train/nats_above_floor", "training scenes"), Curve("val/nats_above_floor", "held-out scenes")),
        "nats above a perfect prediction",
        "log",
        "Negative log-likelihood of a view, above that of a perfect prediction at the current sigma. Light: single "
        "batches; lines: their running median.",
    ),
    "information": CurveFigure(
        (Curve("train/kl", "training scenes"), Curve("val/kl", "held-out scenes")),
        "KL (nats)",
        "linear",
        "Information that a view itself adds to its context: KL to the prior.",
    ),
    "schedules": CurveFigure(
        (Curve("train/sigma", "sigma"), Curve("train/learning_rate", "learning rate")),
        "sigma, learning rate",
        "log",
        "Schedules: standard deviation of the likelihood of pixels from 0 to 1 (sigma), and learning rate.",
    ),
}


def read_metrics(path: Path) -> Metrics:
    """Return the steps and values of every column of ``metrics.csv``, empty cells left out.

    Raises:
        ValueError: there is no such file.
    """
    if not path.is_file():
        raise ValueError(f"no metrics.csv in {path.parent}: give an output folder of train.py")
    found: Metrics = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, text in row.items():
                if text and name:
                    steps, values = found.setdefault(name, ([], []))
                    steps.append(float(row["step"]))
                    values.append(float(text))
    return found


def curve_figures(metrics: Metrics, *names: str, beside: str = "") -> str:
    """Return the named figures that there is data for as HTML, with ``beside`` next to them.

    ``counts`` has a curve for each column that metrics.csv has of it; others are in ``FIGURES``.
    """
    by_count = sorted((int(m[1]), name) for name in metrics if (m := BY_COUNT.fullmatch(name)))
    of_counts = [Curve(name, f"from {count} image{'s' * (count > 1)}") for count, name in by_count]
    counts = CurveFigure(of_counts, GREY, "linear", "The same error by number of context images.")
    known = FIGURES | {"counts": counts}
    shown = []
    with style.style_context():
        for name in names:
            curves, unit, scale, caption = known[name]
            drawing = draw_curves(metrics, curves, unit, scale)
            if drawing is not None:
                shown.append(style.to_html(drawing, name, caption))
    return figures(*shown, beside)


def draw_curves(metrics: Metrics, curves: Sequence[Curve], unit: str, scale: str) -> Figure | None:
    """Draw the curves that have points, over training steps; None for no points."""
    curves = [curve for curve in curves if curve.column in metrics]
    if not curves:
        return None
    drawn = style.new_figure(3.5)
    axes = drawn.add_subplot()
    for i, curve in enumerate(curves):
        look = style.series_style(i)
        steps, values = (np.asarray(column) for column in metrics[curve.column])
        if len(steps) >= NOISY:  # single batches: their running median, over the values themselves
            axes.plot(steps, values, color=look["color"], alpha=0.25, linewidth=0.8)
            values = median_filter(values, size=len(values) // SMOOTHED, mode="nearest")
        axes.plot(steps, values, label=curve.label, **look, markevery=max(1, len(steps) // 15))
    axes.set(xlabel="training step", ylabel=unit, yscale=scale)
    if scale == "log" and min(min(metrics[curve.column][1]) for curve in curves) >= 1:
        for formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            formatter(ScalarFormatter())
    if scale == "linear":
        shown = [value for curve in curves for value in metrics[curve.column][1]]
        axes.set_ylim(min(0.0, *shown), 1.08 * max(shown) if max(shown) > 0 else None)
    style.legend_above(axes)
    return drawn


def probe_figure(metrics: Metrics) -> str:
    """Return the figure of ``draw_probes`` as HTML; empty where nothing was probed."""
    with style.style_context():
        drawing = draw_probes(metrics)
        if drawing is None:
            return ""
        caption = (
            "Probes of r, trained on half of some held-out objects and scored on the others, at each validation: "
            "accuracy of the count and the shape, R² of all else. Few objects: compare steps, not with a study."
        )
        return figures(style.to_html(drawing, "probes", caption))


def draw_probes(metrics: Metrics) -> Figure | None:
    """Draw a panel for each target that was decoded while training, with a curve for each probe and context count."""
    columns = {name: match for name in metrics if (match := PROBES.fullmatch(name))}
    targets = sorted({match["target"] for match in columns.values()})
    if not targets:
        return None
    counts = sorted({int(match["count"] or 0) for match in columns.values()})
    probes = sorted({match["probe"] for match in columns.values()})
    drawn, grid = style.panel_grid(len(targets), most=4, height=2.5, rest=0.7, sharey=True)
    panels = dict(zip(targets, grid, strict=True))
    for name, match in sorted(columns.items(), key=lambda item: (item[1]["probe"], int(item[1]["count"] or 0))):
        count = int(match["count"] or 0)
        look = style.series_style(counts.index(count))
        look["linestyle"] = ("-", "--", ":")[probes.index(match["probe"]) % 3]
        label = f"{match['probe']}, {count} images" if count else f"{match['probe']}, all counts"
        panels[match["target"]].plot(*metrics[name], label=label, **look)
    for target, axes in panels.items():
        axes.set(title=target_label(target), xlabel="training step")
    least = min(min(metrics[name][1]) for name in columns)
    panels[targets[0]].set(ylabel="accuracy or R²", ylim=(min(0.0, least) - 0.05, 1.05))
    style.legend_below(drawn, 4)
    return drawn
