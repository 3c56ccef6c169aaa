"""Geometry of r by count: similarity of counts, drift of the mean, effective number of dimensions."""

from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.study_results import Study

GEOMETRY = {
    "drift": "drift of mean r\n(share of its length)",
    "turn": "turn of mean r\n(degrees)",
    "participation_ratio": "dimensions\n(participation ratio)",
}


@study_figure(
    "similarity",
    "Similarity of r of the same objects at two counts (linear centred kernel alignment): 1 is the same geometry up to "
    "rotation and scale, 0 no shared geometry.",
)
def similarity(study: Study) -> Figure | None:
    """Draw the debiased linear CKA of r between counts, on the same objects."""
    cells = [(s.count_a, s.count_b, s.value) for s in study.similarity if s.metric == "cka"]
    if not cells:
        return None
    cells += [(b, a, value) for a, b, value in cells]
    counts, table = style.count_matrix(cells)
    figure = style.heat_map(counts, table, "linear CKA, debiased", low=None)
    figure.axes[0].set(xlabel=study.count_axis, ylabel=study.count_axis)
    return figure


@study_figure(
    "similarity",
    "From one count to the next: how far the mean of r over objects moves, as a share of its length, and by what angle "
    "it turns. Bottom: the effective number of dimensions in which objects differ.",
)
def geometry(study: Study) -> Figure | None:
    """Draw drift and turn of r's mean with each further image, and the participation ratio of its dimensions."""
    points = {m: [(s.count_b, s.value) for s in study.similarity if s.metric == m] for m in GEOMETRY}
    points = {metric: found for metric, found in points.items() if found}
    if not points:
        return None
    figure = style.new_figure(0.5 + 1.5 * len(points))
    panels = figure.subplots(len(points), sharex=True, squeeze=False)[:, 0]
    for i, (axes, (metric, found)) in enumerate(zip(panels, points.items(), strict=True)):
        axes.plot(*zip(*sorted(found), strict=True), **style.series_style(i), clip_on=False)
        axes.set_ylabel(GEOMETRY[metric])
        axes.set_ylim(bottom=0)
    style.count_axis(panels[-1], sorted({count for found in points.values() for count, _ in found}), study.count_axis)
    figure.align_ylabels()
    return figure
