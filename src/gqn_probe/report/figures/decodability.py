"""Properties of object and views decoded from r, by count and by number of training objects."""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.glossary import target_label
from gqn_probe.report.study_results import DECODABILITY, Series, Study

APART = 1.3  # ratio of labelled numbers of training objects, below which labels would touch
# One look a source in every figure of what r knows; what is none of these takes the looks that are left.
LINE_STYLES = {"r": 0, "untrained": 1, "pixels": 2, "nonlinear": 3, "cameras": 4}
CAPTION = (
    " Dotted: chance, which is to guess the commonest class or the mean. Bands: 95 % interval over objects. The gain "
    "over the untrained network, which has the same architecture, is due to training; the gain over the pixels is more "
    "than the sum of the images tells."
)


@study_figure(
    "knowledge", "How well each property of held-out objects is decoded, by number of context images." + CAPTION
)
def decodability(study: Study) -> Figure | None:
    """Draw a panel for each property: r beside an untrained network, pixels and cameras, by count."""
    panels = {target: study.lines_of(target) for target in study.object_targets}
    return _panels(study, panels, study.count_axis)


@study_figure(
    "knowledge",
    "The same at the largest count, by number of objects that the probe is trained on: a property that r represents "
    "explicitly is learned from few. Lines and bands as above.",
    folded=True,
)
def learning_curves(study: Study) -> Figure | None:
    """Draw a panel for each property, by number of training objects on a logarithmic axis."""
    panels = {target: study.learning_curves_of(target) for target in study.object_targets}
    figure = _panels(study, panels, "training objects")
    for axes in figure.axes if figure else ():
        axes.set_xscale("log")
        ticks = sorted({r.train_objects for r in study.results if r.train_objects is not None})
        apart = [first for first, second in pairwise(ticks) if second > APART * first]
        axes.set_xticks([*apart, *ticks[-1:]])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    return figure


def _panels(study: Study, panels: dict[str, list[Series]], below: str) -> Figure | None:
    panels = {target: _main_series(study, lines) for target, lines in panels.items() if lines}
    if not panels:
        return None
    figure, grid = style.panel_grid(len(panels), most=4, height=2.5, rest=0.7)
    previous = ""
    for axes, (target, lines) in zip(grid, panels.items(), strict=True):
        draw_panel(study, axes, lines)
        axes.set_title(target_label(target))
        axes.set_xlabel(below)
        if axes.get_subplotspec().colspan.start:  # pyright: ignore[reportOptionalMemberAccess]
            axes.set_ylabel("" if lines[0].metric == previous else axes.get_ylabel())
        previous = lines[0].metric
    style.legend_below(figure, 5)
    return figure


def _main_series(study: Study, lines: list[Series]) -> list[Series]:
    """Return the lines of the headline's input and its baselines; the table has those of other inputs."""
    return [line for line in lines if line.rows[0].input in (study.input, line.rows[0].control)]


def _style_index(line: Series, probe: str) -> int:
    """Return the index of a line's colour, marker and dash."""
    case = line.rows[0]
    if case.control != "none":
        return LINE_STYLES.get(case.control, 0)
    return LINE_STYLES["r"] if case.probe == probe else LINE_STYLES["nonlinear"]


def draw_panel(study: Study, axes: Axes, lines: list[Series]) -> None:
    """Draw the lines of one property, and the level of guessing."""
    for line in lines:
        style.plot_series(axes, line.rows, line.label, _style_index(line, lines[0].rows[0].probe))
    places = sorted({row.train_objects or row.count or 0 for line in lines for row in line.rows})
    style.count_axis(axes, places, "", most=7)
    metric, case = lines[0].metric, lines[0].rows[0]
    guess = study.series("chance", target=case.target, probe=case.probe)
    if metric == "r2":
        axes.axhline(0, **style.GUESS)
    elif guess:
        axes.axhline(float(np.mean([r.value for r in guess])), **style.GUESS)
    axes.set_ylabel(DECODABILITY[metric])
    values = [r.value for line in lines for r in line.rows]
    axes.set_ylim(min(0.0, *values) - 0.03, max(1.0, *values) + 0.03)
