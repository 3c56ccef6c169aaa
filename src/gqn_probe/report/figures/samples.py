"""How uncertain the network is of a held-out view, by count: in pictures, in grey levels, and in nats."""

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.figures.predictions import show, shown_counts
from gqn_probe.study_results import Study

DRAWN = 3  # samples shown at each count
BRIGHTEST = 64.0  # grey levels of spread that are drawn white


@study_figure(
    "predictions",
    "What is uncertain differs between samples: drawn from the representation of few images, they part where the "
    "object is hidden; from many, they agree. Spread: standard deviation of samples, from black, 0, to white, "
    "64 grey levels and more.",
)
def samples(study: Study, scenes: int = 4) -> Figure | None:
    """A row a scene: the truth, then a few samples and their spread from the fewest and from the most images."""
    counts = shown_counts(study)
    if not counts or f"samples_{counts[0]}" not in study.pictures:
        return None
    least, most = counts[0], counts[-1]
    shown = range(len(study.pictures[f"truth_{least}"][:scenes]))
    figure = style.blank(7.6, 0.4 + 0.86 * len(shown))
    grid = figure.subplots(len(shown), 1 + 2 * (DRAWN + 1), squeeze=False)
    for row, scene in zip(grid, shown, strict=True):
        show(row[0], study.pictures[f"truth_{least}"][scene])
        for half, count in ((row[1 : DRAWN + 2], least), (row[DRAWN + 2 :], most)):
            drawn = study.pictures[f"samples_{count}"][scene]
            for axes, image in zip(half, drawn[:DRAWN], strict=False):
                show(axes, image)
            show(half[-1], spread(drawn))
    titles = ["truth", *[f"{least} images", *[""] * (DRAWN - 1), "spread"], *[f"{most} images", *[""] * (DRAWN - 1)]]
    for axes, title in zip(grid[0], [*titles, "spread"], strict=True):
        axes.set_title(title, fontsize=9)
    return figure


@study_figure(
    "predictions",
    "Left: how much samples differ (root-mean-square deviation from their mean), beside the error of that mean. Where "
    "the lines meet, the network is as uncertain as it errs. Right: what the held-out view itself would still tell (KL "
    "from posterior to prior), and how much less likely it is than under a perfect prediction, by importance sampling. "
    "Bands: 95 % interval.",
)
def uncertainty(study: Study) -> Figure | None:
    """Spread and error in grey levels; KL and log-likelihood in nats; by count."""
    panels = {
        "grey levels (0–255)": {"spread_rmse": "spread of samples", "averaged_rmse": "error of their mean"},
        "nats": {"kl": "KL", "nats_above_floor": "likelihood, nats above floor"},
    }
    series = {
        label: {name: rows for metric, name in metrics.items() if (rows := study.reconstruction_series(metric))}
        for label, metrics in panels.items()
    }
    if not series["grey levels (0–255)"]:
        return None
    figure = style.blank(7.6, 3.2)
    for axes, (label, lines) in zip(figure.subplots(1, 2), series.items(), strict=True):
        for i, (name, rows) in enumerate(lines.items()):
            style.line(axes, rows, name, i)
        counts = {row.count for rows in lines.values() for row in rows if row.count is not None}
        style.count_axis(axes, sorted(counts), study.count_axis)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        style.legend_above(axes)
    return figure


def spread(drawn: UInt8[np.ndarray, "s h w c"]) -> UInt8[np.ndarray, "h w 3"]:
    """A grey picture of the standard deviation of samples, root-mean-square over channels."""
    deviation = np.sqrt(drawn.astype(float).var(axis=0, ddof=1).mean(axis=-1))
    grey = np.clip(deviation / BRIGHTEST, 0, 1) * 255
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=-1)
