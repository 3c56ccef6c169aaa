"""Every control as a dot with its 95 % interval: what but a description of the scene tells the count."""

from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.study_results import Study


def controls(study: Study) -> Figure | None:
    """Accuracy over all counts on r and on every control, best first, against chance.

    The headline's probe is a filled mark with its interval, r itself in blue; other probes are open marks.
    """
    rows = study.control_rows()
    main = [row for row in rows if row.probe == study.probe]
    if len(main) < 2:
        return None
    figure = style.blank(5.2, 1.4 + 0.27 * len(main))
    axes = figure.add_subplot()
    heights = {(row.control, row.input): height for height, row in enumerate(reversed(main))}
    for row in main:
        color = style.BLUE if row.control == "none" else style.VERMILION
        height = heights[row.control, row.input]
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [height, height], color=color, linewidth=2.2, alpha=0.55)
        axes.plot(row.value, height, color=color, marker="o" if row.control == "none" else "s", markersize=5.5)
    others = dict.fromkeys(row.probe for row in rows if row.probe != study.probe)
    for probe, marker in zip(others, "^Dv", strict=False):
        places = [
            (r.value, heights[r.control, r.input]) for r in rows if r.probe == probe and (r.control, r.input) in heights
        ]
        axes.plot(*zip(*places, strict=True), marker, color=style.MUTED, fillstyle="none", markersize=4.5,
                  markeredgewidth=0.9, label=study.label(probe))  # fmt: skip
    axes.set_yticks(range(len(main)), [study.control_label(row.control, row.input) for row in reversed(main)])
    axes.set_ylim(-0.7, len(main) - 0.3)
    axes.set_xlim(-0.01, 1.01)
    axes.set_xlabel("accuracy")
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    style.chance_line(axes, study.chance, vertical=True)
    if others:
        figure.legend(loc="outside lower center", ncols=len(others))
    return figure
