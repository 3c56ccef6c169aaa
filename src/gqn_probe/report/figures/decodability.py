"""What r knows of the object and the views: count by count, and by the number of objects a probe learns from."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.glossary import target_label
from gqn_probe.study_results import DECODABILITY, Series, Study

COLUMNS = 3
CAPTION = (
    " Dotted: naming the commonest class, or the mean. Bands: 95 % interval over objects. What is above the untrained "
    "network, which has the same width, is what training adds; what is above the pixels is more than the images show "
    "at once."
)


@study_figure("knowledge", "How well each property of unseen objects is told, by number of context images." + CAPTION)
def decodability(study: Study) -> Figure | None:
    """A panel a property: r beside an untrained network, pixels and cameras, by count."""
    panels = {target: study.lines_of(target) for target in study.object_targets}
    return _panels(study, panels, study.count_axis)


@study_figure(
    "knowledge",
    "The same at the largest count, by number of objects that the probe learns from: a representation that holds a "
    "property plainly tells it after few." + CAPTION,
)
def learning_curves(study: Study) -> Figure | None:
    """A panel a property: r beside the same baselines, by number of training objects, on a logarithmic axis."""
    panels = {target: study.learning_curves_of(target) for target in study.object_targets}
    figure = _panels(study, panels, "training objects")
    for axes in figure.axes if figure else ():
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    return figure


def _panels(study: Study, panels: dict[str, list[Series]], below: str) -> Figure | None:
    panels = {target: lines for target, lines in panels.items() if lines}
    if not panels:
        return None
    labels = list(dict.fromkeys(line.label for lines in panels.values() for line in lines))
    columns = min(COLUMNS, len(panels))
    figure = style.blank(max(5.2, 3.3 * columns + 0.4), 0.7 + 2.6 * -(-len(panels) // columns))
    grid = list(figure.subplots(-(-len(panels) // columns), columns, squeeze=False).flat)
    for axes, (target, lines) in zip(grid, panels.items(), strict=False):
        draw_panel(study, axes, lines, labels)
        axes.set_title(target_label(target))
        axes.set_xlabel(below)
    for axes in grid[len(panels) :]:
        axes.remove()
    handles = {
        text: handle for axes in figure.axes for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend([handles[text] for text in labels], labels, loc="outside lower center", ncols=min(4, len(labels)))
    return figure


def draw_panel(study: Study, axes: Axes, lines: list[Series], labels: list[str]) -> None:
    """The lines of one property in the colours of their places in ``labels``, and what guessing gives."""
    for line in lines:
        style.line(axes, line.rows, line.label, labels.index(line.label))
    metric, case = lines[0].metric, lines[0].rows[0]
    guess = study.series("chance", target=case.target, probe=case.probe)
    if metric == "r2":
        axes.axhline(0, color=style.MUTED, **style.GUESS)
    elif guess:
        axes.axhline(float(np.mean([r.value for r in guess])), color=style.MUTED, **style.GUESS)
    axes.set_ylabel(DECODABILITY[metric])
    values = [r.value for line in lines for r in line.rows]
    axes.set_ylim(min(0.0, *values) - 0.03, max(1.0, *values) + 0.03)
