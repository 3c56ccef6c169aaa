"""Training curves of the count classifier, with the axes and titles of the original study's Keras plots."""

from collections import defaultdict

import numpy as np
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.results import CurvePoint, Study


def model_accuracy(study: Study) -> Figure | None:
    """Train and validation accuracy over epochs, mean over seeds with their range as a band."""
    figure = _plot(study, "accuracy")
    if figure:
        style.chance_line(figure.axes[0], study.chance)
    return figure


def model_loss(study: Study) -> Figure | None:
    """Train and validation cross-entropy (nats) over epochs."""
    return _plot(study, "loss")


def _plot(study: Study, metric: str) -> Figure | None:
    points = [p for p in _headline_probe(study) if p.metric == metric]
    if not points:
        return None
    figure = style.blank(5.2, 3.5)
    axes = figure.add_subplot()
    for split, (color, _, dash) in zip(("train", "validation"), style.SERIES, strict=False):
        epochs, low, mean, high = _over_seeds([p for p in points if p.split == split])
        axes.plot(epochs, mean, color=color, linestyle=dash, label=split)
        axes.fill_between(epochs, low, high, color=color, alpha=style.BAND, linewidth=0)
    axes.set_title(f"model {metric}")
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric + (" (nats)" if metric == "loss" else ""))
    axes.legend(loc="upper left" if metric == "accuracy" else "upper right")
    return figure


def _headline_probe(study: Study) -> list[CurvePoint]:
    """The curves of the headline's probe; of the first probe recorded where that one left none."""
    own = [p for p in study.curves if p.target == "count" and p.control == "none"]
    first = next((p for p in own if p.probe == study.probe and p.input == "pooled"), own[0] if own else None)
    return [p for p in own if first and (p.probe, p.input) == (first.probe, first.input)]


def _over_seeds(points: list[CurvePoint]) -> tuple[list[int], list[float], list[float], list[float]]:
    """Epochs, and the least, mean and greatest value over seeds at each."""
    values: dict[int, list[float]] = defaultdict(list)
    for p in points:
        values[p.epoch].append(p.value)
    epochs = sorted(values)
    return (
        epochs,
        [min(values[e]) for e in epochs],
        [float(np.mean(values[e])) for e in epochs],
        [max(values[e]) for e in epochs],
    )
