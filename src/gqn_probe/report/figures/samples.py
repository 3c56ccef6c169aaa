"""Uncertainty of held-out views by count: samples, their spread, its calibration, and likelihoods."""

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter
from scipy.stats import rankdata

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.figures.predicted_views import draw_by_count, show_image, shown_counts
from gqn_probe.report.study_results import Study

DRAWN = 3  # samples shown at each count
GROUPS = np.array([0.5, 1, 2, 4, 8, 16, 32, 64, 128])  # grey levels of spread between which pixels are grouped
BACKGROUND = 8  # grey levels by which a pixel of the object differs from it
FEWEST = 30  # pixels of a group that is shown
BRIGHTEST = 64.0  # grey levels of spread that are drawn white


@study_figure(
    "predictions",
    "Samples of one view differ where the network is uncertain: with few context images where the object was hidden, "
    "with many hardly at all. Spread: standard deviation of the samples, from black (0) to white (64 grey levels or "
    "more).",
    folded=True,
)
def samples(study: Study, scenes: int = 4) -> Figure | None:
    """Draw a row for each scene: truth, a few samples and their spread at the smallest and largest count."""
    if not (counts := _sampled_counts(study)):
        return None
    least, most = counts[0], counts[-1]
    shown = range(len(study.pictures[f"truth_{least}"][:scenes]))
    figure = style.new_figure(0.45 + 1.17 * len(shown), wide=True)
    grid = figure.subplots(len(shown), 1 + 2 * (DRAWN + 1), squeeze=False)
    for row, scene in zip(grid, shown, strict=True):
        show_image(row[0], study.pictures[f"truth_{least}"][scene])
        for half, count in ((row[1 : DRAWN + 2], least), (row[DRAWN + 2 :], most)):
            drawn = study.pictures[f"samples_{count}"][scene]
            for axes, image in zip(half, drawn[:DRAWN], strict=False):
                show_image(axes, image)
            show_image(half[-1], spread(drawn))
    titles = ["truth", *[f"{least} images", *[""] * (DRAWN - 1), "spread"], *[f"{most} images", *[""] * (DRAWN - 1)]]
    for axes, title in zip(grid[0], [*titles, "spread"], strict=True):
        axes.set_title(title, fontsize=9)
    return figure


@study_figure(
    "predictions",
    "How much samples differ (root-mean-square deviation from their mean), beside the error of that mean. Where the "
    "lines meet, uncertainty matches the error; where the error is larger, the network is overconfident. Bands: 95 % "
    "interval over objects.",
)
def uncertainty(study: Study) -> Figure | None:
    """Draw the spread of samples and the error of their mean, in grey levels, by count."""
    names = {"averaged_rmse": "error of the mean of samples", "spread_rmse": "spread of samples"}
    return draw_by_count(study, names, "grey levels (0–255)")


@study_figure(
    "predictions",
    "Is the error where the spread is? Pixels on the object, or where it was predicted, in the scenes shown, grouped "
    "by the spread of samples. Dotted: error equals spread; above it the network is overconfident, as where no sample "
    "drew a part of the object (far left). ρ: rank correlation of spread and error over pixels.",
)
def calibration(study: Study) -> Figure | None:
    """Draw error against spread on logarithmic axes at the smallest and largest count."""
    if not (counts := _sampled_counts(study)):
        return None
    figure = style.new_figure(3.5)
    axes = figure.add_subplot()
    axes.plot(GROUPS[[0, -1]], GROUPS[[0, -1]], **style.GUESS)
    for i, count in enumerate(dict.fromkeys((counts[0], counts[-1]))):
        deviation, error = pixel_errors(study.pictures[f"samples_{count}"], study.pictures[f"truth_{count}"])
        points = group_by_spread(deviation, error)
        if not points:
            continue
        rank = np.corrcoef(rankdata(deviation), rankdata(error))[0, 1]
        label = f"{count} image{'s' * (count > 1)} (ρ = {rank:.2f})"
        axes.plot(*zip(*points, strict=True), label=label, **style.series_style(i))
    if len(axes.lines) == 1:  # all samples of a view are alike
        return None
    axes.set(xscale="log", yscale="log", xlabel="spread of samples (grey levels)", ylabel="error of their mean")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([1, 4, 16, 64]))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    style.legend_above(axes)
    return figure


@study_figure(
    "predictions",
    "Information that the view itself would add to the context (KL from posterior to prior), and how much less likely "
    "the view is than under a perfect prediction, by importance sampling. Bands: 95 % interval over objects.",
)
def likelihood(study: Study) -> Figure | None:
    """Draw KL and log-likelihood in nats by count."""
    names = {"nats_above_floor": "negative log-likelihood above a perfect prediction's", "kl": "KL"}
    return draw_by_count(study, names, "nats")


def _sampled_counts(study: Study) -> list[int]:
    """Return the shown counts that the study has several samples at."""
    return [count for count in shown_counts(study) if f"samples_{count}" in study.pictures]


def pixel_errors(
    drawn: UInt8[np.ndarray, "s sample h w c"], truth: UInt8[np.ndarray, "s h w c"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the spread of samples and the error of their mean, in grey levels, at pixels that are not background.

    Both are root mean squares over channels.
    """
    values, mean = drawn.astype(float), drawn.mean(axis=1)
    background = np.median(truth, axis=(1, 2), keepdims=True)
    there = np.maximum(np.abs(truth - background), np.abs(mean - background)).max(axis=-1) > BACKGROUND
    deviation = np.sqrt(values.var(axis=1, ddof=1).mean(axis=-1))
    error = np.sqrt(((mean - truth) ** 2).mean(axis=-1))
    return deviation[there], error[there]


def group_by_spread(deviation: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"]) -> list[tuple[float, float]]:
    """Return root mean squares of spread and error of groups of pixels, of at least ``FEWEST`` each."""
    group = np.digitize(deviation, GROUPS)
    here = (group == each for each in range(1, len(GROUPS)))
    pairs = ((deviation[rows], error[rows]) for rows in here if rows.sum() >= FEWEST)
    return [(float(np.sqrt((x**2).mean())), float(np.sqrt((y**2).mean()))) for x, y in pairs]


def spread(drawn: UInt8[np.ndarray, "sample h w c"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return a grey picture of the standard deviation of samples, root-mean-square over channels."""
    deviation = np.sqrt(drawn.astype(float).var(axis=0, ddof=1).mean(axis=-1))
    grey = np.clip(deviation / BRIGHTEST, 0, 1) * 255
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=-1)
