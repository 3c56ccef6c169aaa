"""People beside the network in mental rotation: accuracy and response time by angle, and items difficult for both."""

from typing import Any

from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.figures.rotation import (
    CONTROL_STYLES,
    PROBES,
    TURNED,
    largest_count,
    legend_below,
    plot_by_angle,
    rows_by_angle,
)
from gqn_probe.report.html_elements import Cell, interval, number, table
from gqn_probe.report.study_results import Study


@study_figure(
    "rotation",
    "People beside the network. Left: accuracy by angle. Right: people's response time, of right answers to the same "
    "object. Bands: 95 % interval over people, and over mirror classes.",
)
def people_by_angle(study: Study) -> Figure | None:
    """Draw accuracy of people and of each read-out by angle, and people's response time."""
    people = {m: [r for r in study.results if (r.target, r.metric) == ("people", m)] for m in ("accuracy", "rt")}
    if not people["accuracy"] or not people["rt"]:
        return None
    figure = style.new_figure(9.9, 3.9)
    left, right = figure.subplots(1, 2)
    ink: dict[str, Any] = {"color": style.INK, "marker": "x", "linestyle": "-"}
    plot_by_angle(left, people["accuracy"], "none", label="people", **ink)
    for place, (probe, title) in enumerate(PROBES.items()):
        color, marker, dash = style.SERIES[place]
        rows = rows_by_angle(study, "depth", "accuracy", probe, "none", largest_count(study))
        plot_by_angle(left, rows, "none", label=f"network, {title}", color=color, marker=marker, linestyle=dash)
    left.axhline(0.5, color=style.MUTED, **style.GUESS)
    left.set(xlabel=TURNED, ylabel="accuracy", ylim=(-0.02, 1.04))
    plot_by_angle(right, people["rt"], "none", label="", **ink)
    right.set(xlabel=TURNED, ylabel="response time (ms)")
    legend_below(figure)
    return figure


def people_table(study: Study) -> str:
    """Return the table of correlations with people's errors and times by item, and their ceilings."""
    rows: list[list[Cell]] = []
    for r in study.results:
        if r.target == "people" and r.metric.startswith("item_") and not r.metric.endswith("_ceiling"):
            ceiling = next(
                (c.value for c in study.results if c[:4] == r[:4] and c.metric == f"{r.metric}_ceiling"), None
            )
            what = r.metric.removeprefix("item_").replace("_within", ", within angles")
            where = [r.input, PROBES.get(r.probe, r.probe), CONTROL_STYLES[r.control][0]]
            rows.append([what, *where, number(r.value), interval(r.low, r.high), number(ceiling), r.n or 0])
    if not rows:
        return ""
    heads = ["people's", "input", "read-out", "control", "correlation", "95 % interval", "ceiling", "items"]
    note = (
        "<p>An item is an object at an angle, beside itself or its mirror image. The network's difficulty is how much "
        "better the wrong answer matches than the right one. Ceiling: the highest correlation that people's agreement "
        "with each other allows.</p>"
    )
    return "<h3>Are the same items difficult?</h3>" + note + table(heads, rows, text=("input", "read-out", "control"))
