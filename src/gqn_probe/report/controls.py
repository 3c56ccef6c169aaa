"""Every control as a dot with its 95 % interval: what but a description of the scene tells the count."""

from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.results import Result, Study


def controls(study: Study) -> Figure | None:
    """Accuracy over all counts of the probe on r and on every control, best first, against chance."""
    rows = control_rows(study)
    if len(rows) < 2:
        return None
    figure = style.blank(5.2, 1.1 + 0.27 * len(rows))
    axes = figure.add_subplot()
    for height, row in enumerate(reversed(rows)):
        is_whole = row.control == "none"
        color = style.BLUE if is_whole else style.VERMILION
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [height, height], color=color, linewidth=2.2, alpha=0.55)
        axes.plot(row.value, height, color=color, marker="o" if is_whole else "s", markersize=5.5)
    axes.set_yticks(range(len(rows)), [control_name(study, row) for row in reversed(rows)])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlim(0, 1)
    axes.set_xlabel("accuracy")
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    style.chance_line(axes, study.chance, vertical=True)
    return figure


def control_rows(study: Study) -> list[Result]:
    """Held-out accuracy over all counts, a row a control, input and probe; best first."""
    keys = dict.fromkeys(
        (r.control, r.probe, r.input)
        for r in study.results
        if r.target == "count" and r.metric == "accuracy" and r.count is None
    )
    found = [study.overall("accuracy", control=c, probe=p, input=i) for c, p, i in keys]
    return sorted((r for r in found if r is not None), key=lambda r: -r.value)


def control_name(study: Study, row: Result) -> str:
    """The control in words, with its input and probe where they are not the headline's."""
    parts = [study.label(row.control)]
    if row.input not in ("pooled", row.control):
        parts.append(study.label(row.input))
    if row.probe != study.probe:
        parts.append(study.label(row.probe))
    return ", ".join(parts)
