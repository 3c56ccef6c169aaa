"""Figures of the count probe: accuracy by true count, confusion, and accuracy under every control."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.study_results import Study
from gqn_probe.results import Result


def _accuracy_caption(study: Study) -> str:
    gain = [study.summary["headline"].get(name) for name in ("difference", "difference_low", "difference_high")]
    value, low, high = (f"{100 * each:+.1f}" if each is not None else "" for each in gain)
    more = f" Over all counts r gives {value} percentage points more than its length ({low} to {high})." if low else ""
    return (
        f"Accuracy for held-out objects at each true count, from r and from its length alone.{more} Bands: 95 % "
        "interval over objects. Dotted: chance."
    )


@study_figure("counts", _accuracy_caption)
def accuracy_by_count(study: Study) -> Figure | None:
    """Draw accuracy of the probe and of the norm-only control at each true count, with 95 % bands and chance."""
    if not study.series("accuracy", probe=study.probe):
        return None
    figure = style.new_figure(3.5)
    draw_accuracy(study, figure.add_subplot())
    return figure


def draw_accuracy(study: Study, axes: Axes) -> None:
    """Draw the lines of ``accuracy_by_count`` on the caller's axes."""
    whole = study.series("accuracy", probe=study.probe)
    norm = study.series("accuracy", control="norm", probe=study.probe)
    style.plot_series(axes, whole, f"{study.label(study.probe)} probe on {study.given}", 0)
    style.plot_series(axes, norm, study.control_label("norm", study.input), 1)
    style.chance_line(axes, study.chance)
    style.count_axis(axes, sorted({r.count for r in whole + norm if r.count is not None}), study.count_axis)
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1.02)
    style.legend_above(axes)


@study_figure(
    "counts",
    "Which counts are confused. Each row is a true count: the share of held-out objects predicted as each count.",
)
def confusion(study: Study) -> Figure | None:
    """Draw the share of each true count's rows that were predicted as each count; rows sum to one."""
    if not study.headline_confusion:
        return None
    counts, table = style.count_matrix(study.headline_confusion)
    share = np.nan_to_num(table / np.maximum(np.nansum(table, axis=1, keepdims=True), 1))
    figure = style.heat_map(counts, share, "share of objects", low=0.0)
    figure.axes[0].set(xlabel=f"count predicted from {study.given}", ylabel="true count")
    return figure


def _controls_caption(study: Study) -> str:
    return (
        f"Accuracy for held-out objects over all counts. Filled marks: the {study.label(study.probe)} probe, on r "
        "itself (circle) or under a control (square), with 95 % intervals over objects. Open marks: other probes. "
        "Dotted: chance."
    )


@study_figure("controls", _controls_caption)
def controls(study: Study) -> Figure | None:
    """Draw accuracy on r, then under every control, best first, with a panel for each form of r.

    The headline's probe is a filled mark with its interval, r itself in blue; other probes are open marks.
    """
    rows = study.control_rows()
    main = [row for row in rows if row.probe == study.probe]
    if len(main) < 2:
        return None
    forms = [study.input, *dict.fromkeys(r.input for r in main if r.control == "none" and r.input != study.input)]
    form = {(r.control, r.input): r.input if r.input in forms else study.input for r in rows}
    ordered = sorted(main, key=lambda r: (r.control != "none", form[r.control, r.input] != study.input))  # stable
    names = list(dict.fromkeys(r.control for r in ordered))[::-1]
    figure = style.new_figure(1.4 + 0.27 * len(names), wide=len(forms) > 1)
    panels = dict(zip(forms, figure.subplots(1, len(forms), sharey=True, squeeze=False)[0], strict=True))
    others = dict.fromkeys(row.probe for row in rows if row.probe != study.probe)
    for each, axes in panels.items():
        here = [row for row in rows if form[row.control, row.input] == each and row.control in names]
        for row in (row for row in here if row.probe == study.probe):
            _draw_control(axes, row, names.index(row.control))
        for probe, marker in zip(others, "^Dv<>*", strict=False):
            places = [(row.value, names.index(row.control)) for row in here if row.probe == probe]
            if places:
                axes.plot(*zip(*places, strict=True), marker, color=style.MUTED, fillstyle="none", markersize=4.5,
                          markeredgewidth=0.9, zorder=1.5, label=study.label(probe))  # fmt: skip
        axes.set_xlim(-0.01, 1.01)
        axes.set_xlabel("accuracy" if len(forms) == 1 else f"accuracy, {study.label(each)}")
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        style.chance_line(axes, study.chance, vertical=True)
    first = panels[study.input]
    first.set_yticks(range(len(names)), [study.label(name) for name in names])
    first.set_ylim(-0.7, len(names) - 0.3)
    if others:
        handles, labels = first.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(others))
    return figure


def _draw_control(axes: Axes, row: Result, height: int) -> None:
    color = style.BLUE if row.control == "none" else style.VERMILION
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [height, height], color=color, linewidth=2.2, alpha=0.55)
    axes.plot(row.value, height, color=color, marker="o" if row.control == "none" else "s", markersize=5.5)
