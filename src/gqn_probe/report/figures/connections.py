"""Figures of the connections analysis: gates' variance shares, ablation of r, and occlusion of views."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.figures.predicted_views import show_image
from gqn_probe.report.glossary import target_label
from gqn_probe.report.html_elements import collapsible, interval, number, table
from gqn_probe.report.section_registry import study_section
from gqn_probe.report.study_results import Study
from gqn_probe.results import Interval, Result

GATES = ("forget", "input", "output", "candidate")
SOURCES = {  # inputs of a core, each in the same colour everywhere
    "r": style.BLUE,
    "camera": style.VERMILION,
    "latent": style.GREEN,
    "hidden state": style.PURPLE,
    "generator's state": style.ORANGE,
    "canvas": style.MUTED,
    "image": style.INK,
}
CONTROLS = {"random": "as many at random", "norm_matched": "random ones of the same variance"}
RMSE = "rmse_change"
PREDICTION = "added prediction error\n(RMSE, grey levels)"


@study_section(
    "connections",
    "Gates, ablation and occlusion",
    "The generator draws an image in several steps of two recurrent (LSTM) cores: the generation core, and the "
    "inference core, which sees the image to be drawn. Three analyses: what drives the gates of the cores, what is "
    "lost without some of the channels of r, and what each context view contributes.",
)
def connections_section(study: Study) -> str:
    """Return a table of the generation core's shares at the last step."""
    rows = [r for r in _shares(study) if r.probe == "generation"]
    if not rows:
        return ""
    last = max(int(r.control.split()[-1]) for r in rows)
    rows = [r for r in rows if r.control == f"step {last}"]
    cells = [
        [f"{r.target} gate, k = {r.count}", r.input, number(r.value), interval(r.low, r.high)]
        for r in sorted(rows, key=lambda r: (r.count or 0, GATES.index(r.target)))
    ]
    body = table(["generation core", "input", "share of variance", "95 % interval"], cells, text=("input",))
    return collapsible(f"Every gate at step {last}", body)


@study_figure(
    "connections",
    first=True,
    caption="What drives each gate of the generation core (top, while it predicts a view) and of the inference core "
    "(below, while it sees that view), by generator step, at the largest count. The input to a gate is a sum of terms; "
    "bars show each term's share of its variance over scenes. Below 0: terms that oppose the others.",
)
def connections_gates(study: Study) -> Figure | None:
    """Draw stacked bars of shares by step, with a panel for each gate and core."""
    rows = _shares(study)
    if not rows:
        return None
    rows = [r for r in rows if r.count == max(r.count or 0 for r in rows)]
    steps = sorted({int(r.control.split()[-1]) for r in rows})
    figure = style.new_figure(4.9, wide=True)
    grid = figure.subplots(2, len(GATES), sharex=True, sharey=True, squeeze=False)
    for line, core in zip(grid, ("generation", "inference"), strict=True):
        for axes, gate in zip(line, GATES, strict=True):
            _stacked(axes, [r for r in rows if (r.probe, r.target) == (core, gate)], steps)
            axes.set_title(f"{gate} gate" if core == "generation" else "")
            axes.set_xticks(steps[:: max(1, len(steps) // 6)])
            axes.grid(axis="x", visible=False)
        line[0].set_ylabel(f"{core} core\nshare of variance")
    for axes in grid[-1]:
        axes.set_xlabel("generator step")
    style.legend_below(figure, len(SOURCES))
    return figure


@study_figure(
    "connections",
    "Ablation of r: what can still be decoded and predicted without some of its units, those first that a linear probe "
    "of the count (or of a property) uses most. Controls: as many units at random, and as many random ones as carry "
    "the same variance; only greater harm than theirs is specific. Probes are trained anew each time. Dotted: "
    "guessing. Bands: 95 % interval over objects.",
)
def connections_ablation(study: Study) -> Figure | None:
    """Draw accuracy, R² and error by the share of ablated units, with a panel for each."""
    every = [r for r in study.results if r.probe.startswith("share ")]
    chance = {r.target: r.value for r in every if r.metric == "chance"}
    rows = [r for r in every if r.metric != "chance"]
    if not rows:
        return None
    targets = list(dict.fromkeys(r.target for r in rows))
    controls = list(dict.fromkeys(r.control for r in rows if r.control != "none"))
    figure, grid = style.panel_grid(len(targets), most=3, height=2.7, rest=0.8)
    for axes, target in zip(grid, targets, strict=True):
        own = [r for r in rows if r.target == target]
        for i, control in enumerate(controls):
            _by_share(axes, [r for r in own if r.control in ("none", control)], _named(control), i)
        if own[0].metric != RMSE:
            axes.axhline(chance.get(target, 0), **style.GUESS)
        axes.set_title(target_label(target))
        axes.set_ylabel({"accuracy": "accuracy", "r2": "R²"}.get(own[0].metric, PREDICTION))
        axes.set_xlabel(f"share of {own[0].input}s ablated")
    style.legend_below(figure, 2)
    return figure


@study_figure(
    "connections",
    "Error added to the prediction of a view when one context view is left out of the sum, by the angle between the "
    "two cameras. Bands: 95 % interval over scenes.",
)
def connections_occlusion(study: Study) -> Figure | None:
    """Draw the added squared error by angle to the query, with a line for each count."""
    rows = [r for r in study.results if r.metric == "mse_change"]
    if not rows:
        return None
    figure = style.new_figure(3.4)
    axes = figure.add_subplot()
    for i, count in enumerate(sorted({r.count or 0 for r in rows})):
        own = [r for r in rows if r.count == count]
        angles = [float(np.mean([float(end) for end in r.control.split(" to ")])) for r in own]
        scaled = [Interval(1000 * r.value, 1000 * (r.low or 0), 1000 * (r.high or 0)) for r in own]
        style.plot_rows(axes, angles, scaled, label=f"{count} views", **style.series_style(i))
    axes.axhline(0, **style.GUESS)
    axes.set(xlabel="angle between the two cameras (degrees)", ylabel="added squared error\n(× 0.001, images 0 to 1)")
    axes.set_xticks(range(0, 181, 30))
    style.legend_above(axes)
    return figure


@study_figure(
    "connections",
    "What each context view contributes to a prediction (last two pictures: the true and the predicted view). Above "
    "each context view: the squared error added when it is left out (× 0.001, images 0 to 1), and the angle between "
    "its camera and that of the predicted view. Framed: the view that contributes most.",
)
def connections_views(study: Study) -> Figure | None:
    """Draw some contexts, with the error that leaving out each view adds."""
    if not (found := study.arrays("occlusion")):
        return None
    scenes, views = found["change"].shape
    figure = style.new_figure(1.35 * scenes, wide=True)
    grid = figure.subplots(scenes, views + 2, squeeze=False)
    for row, line in enumerate(grid):
        changes, angles = 1000 * found["change"][row], found["angle"][row]
        titles = [f"{round(float(c), 1) + 0.0:+.1f}, {a:.0f}°" for c, a in zip(changes, angles, strict=True)]
        pictures = [*found["views"][row], found["truth"][row], found["drawn"][row]]
        for axes, picture, title in zip(line, pictures, [*titles, "true view", "predicted"], strict=True):
            show_image(axes, np.moveaxis(picture, 0, -1))
            axes.set_title(title, fontsize=8)
        line[int(changes.argmax())].spines[:].set(visible=True, color=style.VERMILION, linewidth=2.5)
    return figure


def _shares(study: Study) -> list[Result]:
    return [r for r in study.results if r.metric == "variance_share"]


def _stacked(axes: Axes, rows: list[Result], steps: list[int]) -> None:
    """Draw bars that add up to 1; negative parts hang below 0."""
    above, below = np.zeros(len(steps)), np.zeros(len(steps))
    for name, color in SOURCES.items():
        values = {int(r.control.split()[-1]): r.value for r in rows if r.input == name}
        if not values:
            continue
        heights = np.array([values.get(step, 0.0) for step in steps])
        axes.bar(steps, heights, bottom=np.where(heights >= 0, above, below), color=color, width=0.72, label=name)
        above, below = above + np.clip(heights, 0, None), below + np.clip(heights, None, 0)
    axes.axhline(0, color=style.MUTED, linewidth=0.8)


def _by_share(axes: Axes, rows: list[Result], label: str, index: int) -> None:
    """Plot the mean over draws, and the mean of their bounds, at each share."""
    shares = sorted({float(r.probe.split()[-1]) for r in rows})
    at = [[r for r in rows if float(r.probe.split()[-1]) == share] for share in shares]
    means = [[float(np.mean([getattr(r, name) for r in own])) for name in Interval._fields] for own in at]
    found = [Interval(*each) for each in means]
    style.plot_rows(axes, shares, found, label=label, **style.series_style(index))


def _named(control: str) -> str:
    if control in CONTROLS:
        return CONTROLS[control]
    ranking = control.removesuffix(" top")
    return f"most used for {'the count' if ranking == 'count' else target_label(ranking)}"
