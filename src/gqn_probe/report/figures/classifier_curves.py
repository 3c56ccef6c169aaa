"""Training curves of the count classifier, with the axes and titles of the original study's Keras plots."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.study_results import Study
from gqn_probe.results import CurvePoint, Interval


@study_figure(
    "training",
    "Accuracy of the classifier after each epoch, on training objects and on held-out ones: mean and range over seeds.",
)
def model_accuracy(study: Study) -> Figure | None:
    """Draw train and validation accuracy by epoch, mean over seeds with their range as a band."""
    figure = _plot(study, "accuracy")
    if figure:
        style.chance_line(figure.axes[0], study.chance)
    return figure


def _loss_caption(study: Study) -> str:
    caption = "Cross-entropy after each epoch, on training objects and on held-out ones."
    if not any(point.probe == "linear" for point in _of_one_probe(study)):
        return caption
    return (
        f"{caption} The linear probe starts from linear discriminant analysis and minimises the sum of cross-entropy "
        "and an L2 penalty, so that cross-entropy alone may rise."
    )


@study_figure("training", _loss_caption)
def model_loss(study: Study) -> Figure | None:
    """Draw train and validation cross-entropy (nats) by epoch."""
    return _plot(study, "loss")


def _plot(study: Study, metric: str) -> Figure | None:
    points = [p for p in _of_one_probe(study) if p.metric == metric]
    if not points:
        return None
    figure = style.new_figure(3.5)
    axes = figure.add_subplot()
    for split, (color, _, dash) in zip(("train", "validation"), style.SERIES, strict=False):
        epochs, found = _over_seeds([p for p in points if p.split == split])
        style.plot_rows(axes, epochs, found, color=color, linestyle=dash, label=split)
    other = "" if points[0].probe == study.probe else f", {study.label(points[0].probe)}"
    axes.set_title(f"model {metric}{other}")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(metric + (" (nats)" if metric == "loss" else ""))
    axes.legend(loc="center right" if metric == "accuracy" else "upper right")
    return figure


def _of_one_probe(study: Study) -> list[CurvePoint]:
    """Return the curves of the headline's probe, or of the first probe with curves, which the title then names."""
    own = [p for p in study.curves if (p.target, p.input, p.control) == ("count", study.input, "none")]
    probes = list(dict.fromkeys(p.probe for p in own))
    return [p for p in own if p.probe == (study.probe if study.probe in probes else probes[0])]


def _over_seeds(points: list[CurvePoint]) -> tuple[list[int], list[Interval]]:
    """Return epochs, and the mean and range over seeds at each."""
    epochs = sorted({p.epoch for p in points})
    values = [[p.value for p in points if p.epoch == epoch] for epoch in epochs]
    return epochs, [Interval(float(np.mean(v)), min(v), max(v)) for v in values]
