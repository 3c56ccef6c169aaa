"""Figures of mental rotation: prediction, same or mirror image, codes and people by angle, under every control."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.figures.predicted_views import show_image
from gqn_probe.report.study_results import Study
from gqn_probe.results import Result

NAME = "mental_rotation"
AXES = {"depth": "turned in depth", "plane": "turned in the picture plane"}
PROBES = {
    "error": "error of prediction",
    "likelihood": "likelihood of the view",
    "distance": "distance of codes",
    "linear": "linear probe of codes",
}
INPUTS = {"error": "prediction", "likelihood": "prediction", "distance": "whole", "linear": "whole"}  # main read-outs
CONTROL_STYLES: dict[str, tuple[str, str, str, str]] = {  # label, colour, marker, dash
    "none": ("true images and cameras", style.BLUE, "o", "-"),
    "held": ("first camera for every view", style.GREEN, "^", "-."),
    "pixels": ("pixels (no network)", style.ORANGE, "v", "-"),
    "shuffled": ("another object's context", style.VERMILION, "s", "--"),
    "blank": ("blank images, true cameras", style.PURPLE, "D", ":"),
    "untrained": ("untrained network", style.MUTED, "P", ":"),
}
TURNED = "angle from the first view (degrees)"
BANDS = "Bands: 95 % interval over mirror classes."
CONTEXT_SHOWN = 3  # context views in the picture of the stimuli


def _prediction_caption(study: Study) -> str:
    return (
        "Error of the predicted view by its angle to the nearest of the k context views, all within a cone. Controls "
        f"at k = {max(study.summary.get('counts', [0]))}; pixels: the nearest context view taken as prediction. {BANDS}"
    )


@study_figure("rotation", _prediction_caption, first=True)
def prediction_by_angle(study: Study) -> Figure | None:
    """Draw the error of the prediction by angle to the nearest context view, with a panel for each axis."""
    if not (wanted := _axes_of(study)):
        return None
    figure, grid = style.panel_grid(len(wanted), most=2, height=3.6, rest=0.8, sharey=True)
    counts = study.summary["counts"]
    for axes, axis in zip(grid, wanted, strict=True):
        lines: list[tuple[str, int, dict[str, Any]]] = []
        for place, count in enumerate(counts):
            look = style.series_style(place) | {"color": style.BLUE, "label": f"prediction, k = {count}"}
            lines.append(("none", count, look))
        lines += [(control, max(counts), {}) for control in [*CONTROL_STYLES][1:]]
        for control, count, look in lines:
            near = rows_by_angle(study, axis, "nearest", "error", control, count)
            rows = rows_by_angle(study, axis, "rmse", "error", control, count)
            plot_by_angle(axes, rows, control, x=[r.value for r in near], **look)
        axes.set(title=AXES[axis], xlabel="angle to the nearest context view (degrees)", xticks=range(0, 181, 30))
    grid[0].set(ylabel="RMSE (grey levels, 0–255)", ylim=(0, None))
    style.legend_below(figure, 4 if len(wanted) > 1 else 2)
    return figure


@study_figure(
    "rotation",
    "Same or mirror image? Share of trials in which the object's own turned view matches better than its mirror "
    "image's, by angle from the first view. A column for each read-out: the error of the prediction, the likelihood of "
    "the view, the distance of codes, and a linear probe of codes trained on other shapes. Pixels: the nearest context "
    "view as prediction, and images in place of codes. Dotted: guessing; below it, the mirror image's view matches "
    "better. " + BANDS,
)
def same_or_mirror(study: Study) -> Figure | None:
    """Draw accuracy by angle: a row for each axis, a column for each read-out, a line for each control."""
    if not (wanted := _axes_of(study)):
        return None
    probes = {name: title for name, title in PROBES.items() if any(r.probe == name for r in study.results)}
    figure = style.new_figure(2.7 * len(wanted) + 0.8, wide=True)
    grid = figure.subplots(len(wanted), len(probes), squeeze=False, sharex=True, sharey=True)
    for line, axis in zip(grid, wanted, strict=True):
        for axes, (probe, title) in zip(line, probes.items(), strict=True):
            for control in CONTROL_STYLES:
                plot_by_angle(axes, rows_by_angle(study, axis, "accuracy", probe, control), control)
            axes.axhline(0.5, **style.GUESS)
            axes.set(title=title if axis == wanted[0] else "", ylim=(-0.02, 1.04))
        line[0].set_ylabel(f"accuracy, {AXES[axis]}")
    for axes in grid[-1]:
        axes.set(xlabel=TURNED, xticks=study.summary["angles"])
    style.legend_below(figure, 3)
    return figure


@study_figure(
    "rotation",
    "How much less likely a turned view is than under a perfect prediction. Unlike the error, it weighs confident "
    "mistakes more than uncertain ones. Pixels: the nearest context view as a prediction without uncertainty. "
    "Logarithmic above 100. " + BANDS,
)
def likelihood_by_angle(study: Study) -> Figure | None:
    """Draw nats above a perfect prediction by angle, with a panel for each axis."""
    if not any(r.probe == "likelihood" for r in study.results):
        return None
    figure = _panels(study, "likelihood", "nats_above_floor", "nats above a perfect prediction")
    for axes in (
        figure.axes if figure else ()
    ):  # a picture without doubt costs a hundred times as much where it is wrong
        axes.set_yscale("symlog", linthresh=100)
    return figure


@study_figure(
    "rotation",
    "Distance of a turned view's code from the context's: 1 less their correlation. What blank images with the true "
    "cameras show as well is due to the camera, not to the object. " + BANDS,
)
def code_distance_by_angle(study: Study) -> Figure | None:
    """Draw the distance of codes by angle, with a panel for each axis."""
    return _panels(study, "distance", "distance", "distance of codes (1 - correlation)")


def _panels(study: Study, probe: str, metric: str, label: str) -> Figure | None:
    """Draw a metric by angle, with a panel for each axis: every control, and the mirror image's view."""
    if not (wanted := _axes_of(study)):
        return None
    figure, grid = style.panel_grid(len(wanted), most=2, height=3.4, rest=0.8, sharey=True)
    ink: dict[str, Any] = {"color": style.INK, "marker": "x", "linestyle": "--"}
    for axes, axis in zip(grid, wanted, strict=True):
        for control in CONTROL_STYLES:
            plot_by_angle(axes, rows_by_angle(study, axis, metric, probe, control), control)
        mirror = rows_by_angle(study, axis, f"mirror_{metric}", probe, "none")
        plot_by_angle(axes, mirror, "none", label="its mirror image, true images and cameras", **ink)
        axes.set(title=AXES[axis], xlabel=TURNED, xticks=study.summary["angles"])
    grid[0].set(ylabel=label, ylim=(0, None))
    style.legend_below(figure, 3)
    return figure


@study_figure(
    "rotation",
    "Codes by layer, in the order of the network, with the images themselves first. Left: correlation of their "
    "distance with the angle, within objects; open marks: partial correlation, without pixels and blank images. Right: "
    "accuracy of same or mirror image from 60 degrees on; dotted: guessing. Bars: 95 % interval over mirror classes.",
)
def rotation_by_layer(study: Study) -> Figure | None:
    """Draw correlation with the angle, and accuracy, by layer, for the first axis."""
    rows = [r for r in study.results if [r.target] == _axes_of(study)[:1] and r.count == max(study.summary["counts"])]
    coded = [r for r in rows if r.probe == "distance"]
    layers = ["pixels", *dict.fromkeys(r.input for r in coded)]
    if len(layers) < 3:
        return None
    figure = style.new_figure(4.3, wide=True)
    left, right = figure.subplots(1, 2)
    shift = {"none": -0.25, "held": -0.15, "shuffled": -0.05, "blank": 0.05, "untrained": 0.15, "pixels": 0}
    for control, by in shift.items():
        label, color, marker, _ = CONTROL_STYLES[control]
        own = [r for r in coded if r.control == control]
        for axes, metric, look in (
            (left, "correlation", {"label": label}),
            (left, "partial_correlation", {"fillstyle": "none"}),
            (right, "far_accuracy", {}),
        ):
            _plot_by_layer(axes, own, metric, layers, by, color=color, fmt=marker, **look)
    linear = [r for r in rows if r.probe == "linear" and r.control in ("none", "pixels")]
    _plot_by_layer(
        right, linear, "far_accuracy", layers, 0.3, color=style.INK, fmt="x", label="linear probe of the same"
    )
    for axes in (left, right):
        names = ["r" if name == "whole" else name.removeprefix("layer.") for name in layers]
        axes.set_xticks(range(len(layers)), names, rotation=30)
        axes.grid(axis="x", visible=False)
    left.axhline(0, **style.GUESS)
    right.axhline(0.5, **style.GUESS)
    left.set_ylabel("correlation with the angle")
    right.set(ylabel="accuracy from 60 degrees on", ylim=(-0.02, 1.04))
    style.legend_below(figure, 4)
    return figure


def _plot_by_layer(
    axes: Axes, rows: Sequence[Result], metric: str, layers: list[str], shift: float, *, color: str, **options: Any
) -> None:
    """Plot a mark with its interval for each layer; images take the place of codes in a layer of their own."""
    own = {"pixels" if r.control == "pixels" else r.input: r for r in rows if r.metric == metric}
    found = [(place + shift, own[name]) for place, name in enumerate(layers) if name in own]
    if found:
        x, shown = zip(*found, strict=True)
        bounds = [[r.value - (r.low or 0) for r in shown], [(r.high or 0) - r.value for r in shown]]
        errors = np.clip(bounds, 0, None)  # of rounding below 0
        axes.errorbar(x, [r.value for r in shown], errors, color=color, ecolor=(color, 0.4), elinewidth=1.6, **options)


@study_figure(
    "rotation",
    "Stimuli: for each of some objects, context views and turned views by angle; below, the same views of its mirror "
    "image.",
)
def rotation_stimuli(study: Study) -> Figure | None:
    """Draw two rows for each of some objects: context and turned views, and the mirror image's views."""
    if study.analysis != NAME or not (shown := study.arrays("rotation")):
        return None
    context, same, mirror = (shown[name] for name in ("context", "same", "mirror"))
    context = context[:, :CONTEXT_SHOWN]
    given, turned = context.shape[1], same.shape[1]
    titles = [*(f"context {i + 1}" for i in range(given)), *(f"{angle:g}°" for angle in study.summary["angles"])]
    figure = style.new_figure(0.3 + 0.98 * 2 * len(same), wide=True)
    grid = figure.subplots(2 * len(same), given + turned, squeeze=False)
    for thing in range(len(same)):
        above, below = grid[2 * thing], grid[2 * thing + 1]
        for axes, image in zip((*above, *below[given:]), (*context[thing], *same[thing], *mirror[thing]), strict=True):
            show_image(axes, image)
        for axes in below[:given]:
            axes.remove()
        below[given].set_ylabel("mirror image", fontsize=8.5)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=9)
    return figure


@study_figure(
    "rotation",
    "People beside the network. Left: accuracy by angle. Right: people's response time, of right answers to the same "
    "object. Bands: 95 % interval over people, and over mirror classes.",
)
def people_by_angle(study: Study) -> Figure | None:
    """Draw accuracy of people and of each read-out by angle, and people's response time."""
    accuracy, times = (
        [r for r in study.results if (r.target, r.metric) == ("people", metric)] for metric in ("accuracy", "rt")
    )
    if not accuracy or not times:
        return None
    figure = style.new_figure(3.9, wide=True)
    left, right = figure.subplots(1, 2)
    ink: dict[str, Any] = {"color": style.INK, "marker": "x", "linestyle": "-"}
    plot_by_angle(left, accuracy, "none", label="people", **ink)
    for place, (probe, title) in enumerate(PROBES.items()):
        rows = rows_by_angle(study, "depth", "accuracy", probe, "none")
        plot_by_angle(left, rows, "none", label=f"network, {title}", **style.series_style(place))
    left.axhline(0.5, **style.GUESS)
    left.set(xlabel=TURNED, ylabel="accuracy", ylim=(-0.02, 1.04))
    plot_by_angle(right, times, "none", label="", **ink)
    right.set(xlabel=TURNED, ylabel="response time (ms)")
    style.legend_below(figure, 3)
    return figure


def _axes_of(study: Study) -> list[str]:
    """Return the axes that objects were turned about; empty for other analyses."""
    return study.summary.get("axes", []) if study.analysis == NAME else []


def result_key(r: Result) -> tuple[str, str, str, str, int | None]:
    """Return axis, input, control, probe and count of a row."""
    return r.target, r.input, r.control, r.probe, r.count


def rows_by_angle(
    study: Study, axis: str, metric: str, probe: str, control: str, count: int | None = None
) -> list[Result]:
    """Return a metric of a probe's main input by angle, ascending; at the largest count unless one is given."""
    wanted = axis, INPUTS[probe], control, probe, count or max(study.summary["counts"])
    found = (r for r in study.results if result_key(r) == wanted and r.metric == metric and r.angle is not None)
    return sorted(found, key=lambda r: r.angle or 0.0)


def plot_by_angle(axes: Axes, rows: Sequence[Result], control: str, *, x: Sequence[float] = (), **options: Any) -> None:
    """Plot rows by angle, or at ``x``, with their band, in the control's style unless ``options`` overrides it."""
    label, color, marker, dash = CONTROL_STYLES[control]
    above = 3 - [*CONTROL_STYLES].index(control) / 10  # the first are drawn last
    look = {"label": label, "color": color, "marker": marker, "linestyle": dash, "zorder": above} | options
    style.plot_rows(axes, x or [r.angle or 0.0 for r in rows], rows, **look)
