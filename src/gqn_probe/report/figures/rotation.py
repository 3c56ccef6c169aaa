"""Figures of mental rotation: prediction, same or mirror image, and codes by angle, under every control."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
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


def _prediction_caption(study: Study) -> str:
    return (
        "Error of the predicted view by its angle to the nearest of the k context views, all within a cone. Controls "
        f"at k = {max(study.summary.get('counts', [0]))}; pixels: the nearest context view taken as prediction. {BANDS}"
    )


@study_figure("rotation", _prediction_caption, first=True)
def prediction_by_angle(study: Study) -> Figure | None:
    """Draw the error of the prediction by angle to the nearest context view, for the first axis."""
    return _prediction(study, 0)


@study_figure("rotation", _prediction_caption)
def prediction_by_angle_second(study: Study) -> Figure | None:
    """Draw the same for the second axis."""
    return _prediction(study, 1)


def _prediction(study: Study, which: int) -> Figure | None:
    axis = _axis(study, which)
    counts = study.summary.get("counts", [])
    if axis is None:
        return None
    figure = style.new_figure(5.2, 4.4)
    axes = figure.add_subplot()
    for place, count in enumerate(counts):
        rows = rows_by_angle(study, axis, "rmse", "error", "none", count)
        near = rows_by_angle(study, axis, "nearest", "error", "none", count)
        marker, dash = style.SERIES[place % len(style.SERIES)][1:]
        alone: dict[str, Any] = {"label": f"prediction, k = {count}", "marker": marker, "linestyle": dash}
        plot_by_angle(axes, rows, "none", places=[r.value for r in near], **alone)
    for control in [*CONTROL_STYLES][1:]:
        near = rows_by_angle(study, axis, "nearest", "error", control, max(counts))
        rows = rows_by_angle(study, axis, "rmse", "error", control, max(counts))
        plot_by_angle(axes, rows, control, places=[r.value for r in near])
    axes.set_title(AXES[axis])
    axes.set_xticks(range(0, 181, 30))
    axes.set_xlabel("angle to the nearest context view (degrees)")
    axes.set_ylabel("RMSE (grey levels, 0 to 255)")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower center", ncols=2)
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
    wanted = [axis for axis in (_axis(study, 0), _axis(study, 1)) if axis is not None]
    if not wanted:
        return None
    probes = {name: title for name, title in PROBES.items() if any(r.probe == name for r in study.results)}
    figure = style.new_figure(2.5 * max(len(probes), 3) + 1.4, 2.9 * len(wanted) + 0.8)
    grid = figure.subplots(len(wanted), len(probes), squeeze=False, sharex=True, sharey=True)
    for line, axis in zip(grid, wanted, strict=True):
        for axes, (probe, title) in zip(line, probes.items(), strict=True):
            for control in CONTROL_STYLES:
                plot_by_angle(
                    axes, rows_by_angle(study, axis, "accuracy", probe, control, largest_count(study)), control
                )
            axes.axhline(0.5, color=style.MUTED, **style.GUESS)
            axes.set_ylim(-0.02, 1.04)
            if axis == wanted[0]:
                axes.set_title(title)
        line[0].set_ylabel(f"accuracy, {AXES[axis]}")
    for axes in grid[-1]:
        axes.set_xlabel(TURNED)
        axes.set_xticks(study.summary["angles"])
    legend_below(figure)
    return figure


@study_figure(
    "rotation",
    "How much less likely a turned view is than under a perfect prediction. Unlike the error, it weighs confident "
    "mistakes more than uncertain ones. Pixels: the nearest context view as a prediction without uncertainty. "
    "Logarithmic above 100. " + BANDS,
)
def likelihood_by_angle(study: Study) -> Figure | None:
    """Draw nats above a perfect prediction by angle, with a panel for each axis."""
    wanted = [axis for axis in (_axis(study, 0), _axis(study, 1)) if axis is not None]
    if not any(r.probe == "likelihood" for r in study.results):
        return None
    figure = _panels(study, wanted, "likelihood", "nats_above_floor", "nats above a perfect prediction")
    for axes in figure.axes:  # a picture without doubt costs a hundred times as much where it is wrong
        axes.set_yscale("symlog", linthresh=100)
    return figure


@study_figure(
    "rotation",
    "Distance of a turned view's code from the context's: 1 less their correlation. What blank images with the true "
    "cameras show as well is due to the camera, not to the object. " + BANDS,
)
def code_distance_by_angle(study: Study) -> Figure | None:
    """Draw the distance of codes by angle, with a panel for each axis."""
    wanted = [axis for axis in (_axis(study, 0), _axis(study, 1)) if axis is not None]
    if not wanted:
        return None
    return _panels(study, wanted, "distance", "distance", "distance of codes (1 - correlation)")


def _panels(study: Study, wanted: Sequence[str], probe: str, metric: str, label: str) -> Figure:
    """Draw a metric by angle, with a panel for each axis: every control, and the mirror image's view."""
    figure = style.new_figure(max(5.2, 4.6 * len(wanted)), 4.2)
    for axes, axis in zip(figure.subplots(1, len(wanted), squeeze=False, sharey=True)[0], wanted, strict=True):
        for control in CONTROL_STYLES:
            plot_by_angle(axes, rows_by_angle(study, axis, metric, probe, control, largest_count(study)), control)
        mirror = rows_by_angle(study, axis, f"mirror_{metric}", probe, "none", largest_count(study))
        options: dict[str, Any] = {
            "label": "its mirror image, true images and cameras",
            "marker": "x",
            "linestyle": "--",
        }
        plot_by_angle(axes, mirror, "none", color=style.INK, **options)
        axes.set_title(AXES[axis])
        axes.set_xlabel(TURNED)
        axes.set_xticks(study.summary["angles"])
    figure.axes[0].set_ylabel(label)
    figure.axes[0].set_ylim(bottom=0)
    legend_below(figure)
    return figure


@study_figure(
    "rotation",
    "Codes by layer, in the order of the network, with the images themselves first. Left: correlation of their "
    "distance with the angle, within objects; open marks: partial correlation, without pixels and blank images. Right: "
    "accuracy of same or mirror image from 60 degrees on; dotted: guessing. Bars: 95 % interval over mirror classes.",
)
def rotation_by_layer(study: Study) -> Figure | None:
    """Draw correlation with the angle, and accuracy, by layer, for the first axis."""
    axis = _axis(study, 0)
    rows = [r for r in study.results if r.target == axis and r.count == largest_count(study) and r.probe == "distance"]
    layers = ["pixels", *dict.fromkeys(r.input for r in rows)]
    if axis is None or len(layers) < 3:
        return None
    figure = style.new_figure(9.9, 4.2)
    left, right = figure.subplots(1, 2)
    shift = {"none": -0.25, "held": -0.15, "shuffled": -0.05, "blank": 0.05, "untrained": 0.15, "pixels": 0}
    for control, by in shift.items():
        label, color, marker, _ = CONTROL_STYLES[control]
        for metric, fill in (("correlation", "full"), ("partial_correlation", "none")):
            own = _by_layer(rows, control, metric)
            _plot_by_layer(left, own, layers, by, color, marker, fill, label if fill == "full" else "")
        _plot_by_layer(right, _by_layer(rows, control, "far_accuracy"), layers, by, color, marker, "full", "")
    probed = [r for r in study.results if r.target == axis and r.probe == "linear"]
    linear = _by_layer(probed, "pixels", "far_accuracy") | _by_layer(probed, "none", "far_accuracy")
    _plot_by_layer(right, linear, layers, 0.3, style.INK, "x", "full", "linear probe of the same")
    for axes in (left, right):
        names = ["r" if name == "whole" else name.removeprefix("layer.") for name in layers]
        axes.set_xticks(range(len(layers)), names, rotation=30)
        axes.grid(axis="x", visible=False)
    left.axhline(0, color=style.MUTED, **style.GUESS)
    right.axhline(0.5, color=style.MUTED, **style.GUESS)
    left.set_ylabel("correlation with the angle")
    right.set_ylabel("accuracy from 60 degrees on")
    right.set_ylim(-0.02, 1.04)
    legend_below(figure)
    return figure


@study_figure(
    "rotation", "Stimuli of some objects: context views, turned views by angle, and those of the mirror image."
)
def rotation_stimuli(study: Study) -> Figure | None:
    """Draw a row for each of some objects: context, turned views, and its mirror image's views."""
    path = study.folder / "rotation.npz"
    if study.analysis != NAME or not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        parts = {name: arrays[name] for name in ("context", "same", "mirror")}
    angles = study.summary["angles"]
    titles = [f"context {i + 1}" for i in range(parts["context"].shape[1])][:3]
    parts["context"] = parts["context"][:, :3]
    titles += [f"{angle:g}°" for angle in angles] + [f"mirror {angle:g}°" for angle in angles]
    images = np.concatenate(list(parts.values()), axis=1)
    figure = style.new_figure(11.5, 0.35 + 0.75 * len(images))
    grid = figure.subplots(len(images), images.shape[1], squeeze=False)
    for row, line in enumerate(grid):
        for column, axes in enumerate(line):
            axes.imshow(images[row, column], interpolation="nearest")
            axes.set_axis_off()
            if row == 0:
                axes.set_title(titles[column], fontsize=7)
    return figure


def _axis(study: Study, which: int) -> str | None:
    wanted = study.summary.get("axes", []) if study.analysis == NAME else []
    return wanted[which] if which < len(wanted) else None


def largest_count(study: Study) -> int:
    """Return the largest number of context views."""
    return max(study.summary["counts"])


def result_key(r: Result) -> tuple[str, str, str, str, int | None]:
    """Return axis, input, control, probe and count of a row."""
    return r.target, r.input, r.control, r.probe, r.count


def rows_by_angle(study: Study, axis: str, metric: str, probe: str, control: str, count: int) -> list[Result]:
    """Return a metric of a probe's main input by angle, ascending."""
    wanted = axis, INPUTS[probe], control, probe, count
    return sorted(
        (r for r in study.results if result_key(r) == wanted and r.metric == metric and r.angle is not None),
        key=lambda r: r.angle or 0.0,
    )


def plot_by_angle(
    axes: Axes, rows: Sequence[Result], control: str, *, places: Sequence[float] = (), **options: Any
) -> None:
    """Plot rows by angle, or at ``places``, with their band, in the control's style unless ``options`` overrides it."""
    if not rows:
        return
    label, color, marker, dash = CONTROL_STYLES[control]
    above = 3 - [*CONTROL_STYLES].index(control) / 10  # the first are drawn last
    options = {"label": label, "color": color, "marker": marker, "linestyle": dash, "zorder": above} | options
    x = np.array(places or [r.angle for r in rows], dtype=float)
    axes.plot(x, [r.value for r in rows], **options)
    low, high = (np.array([getattr(r, bound) for r in rows], dtype=float) for bound in ("low", "high"))
    axes.fill_between(x, low, high, color=options["color"], alpha=style.BAND, linewidth=0)


def _by_layer(rows: Sequence[Result], control: str, metric: str) -> dict[str, Result]:
    """Return a metric under a control by layer; images take the place of codes in a layer of their own."""
    found = [r for r in rows if (r.control, r.metric) == (control, metric)]
    return {"pixels" if control == "pixels" else r.input: r for r in found}


def _plot_by_layer(  # noqa: PLR0917
    axes: Axes, own: dict[str, Result], layers: list[str], shift: float, color: str, marker: str, fill: Any, label: str
) -> None:
    """Plot a mark with its interval for each layer."""
    rows = [(place + shift, own[name]) for place, name in enumerate(layers) if name in own]
    for place, r in rows:
        if r.low is not None and r.high is not None:
            axes.plot([place, place], [r.low, r.high], color=color, linewidth=1.6, alpha=0.4)
    if rows:
        axes.plot([p for p, _ in rows], [r.value for _, r in rows], marker, color=color, fillstyle=fill,
                  linestyle="none", label=label or None)  # fmt: skip


def legend_below(figure: Figure) -> None:
    """Put one legend of all axes below the figure."""
    handles = {
        text: handle for axes in figure.axes for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=min(3, len(handles)))
