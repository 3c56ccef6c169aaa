"""95 % confidence intervals of proportions, means, ratios and paired differences from clustered rows.

Rows of an object are dependent: the object is the cluster, estimates are functions of cluster sums. Proportions have
Wilson intervals (Wilson 1927) at the effective sample size (Korn & Graubard 1998) with t quantiles: bootstrap
percentiles collapse at the ceiling, where no row is misclassified. There errors give no intraclass correlation, and
that of the classification margins is used: errors are margins cut at 0, hence less correlated, so it is conservative.
Differences of proportions are by MOVER with the estimated correlation (Newcombe 1998, method 10; Zou & Donner 2008),
of variances and degrees of freedom that hold for few, unequal clusters, such as mixing groups.
The estimand is the score of these fitted probes on further objects: intervals exclude the variance of training another
network, and of drawing other training objects for the probe.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from scipy.special import stdtrit
from scipy.stats import rankdata
from torch import Tensor

from gqn_probe.results import Interval

LEVEL = 0.95
QUANTILE = 0.5 + LEVEL / 2


class ClusterSums(NamedTuple):
    """Sums of a score over the rows of each cluster (an object, or a group of objects); the estimate is their ratio."""

    sums: Float[Tensor, " cluster"]  # of the score; of proportions the number of correct rows
    rows: Float[Tensor, " cluster"]  # number of rows; of other ratios the denominator
    encoder: Int[Tensor, " cluster"] | None = None  # untrained encoder of each cluster: a second random factor
    icc: float = 1.0  # intraclass correlation of margins, for proportions of 0 and 1

    @property
    def value(self) -> float:
        return float(self.sums.sum() / self.rows.sum())

    def nonempty(self) -> Tensor:
        """Return a mask of the clusters that have rows."""
        return self.rows > 0

    def influences(self) -> Float[Tensor, " cluster"]:
        """Return the influence of each cluster on the ratio (its linearisation); they sum to 0."""
        return (self.sums - self.value * self.rows) / self.rows.sum()

    def hc3_influences(self) -> Float[Tensor, " cluster"]:
        """Return influences divided by 1 - leverage, since plain linearisation is too narrow with few clusters.

        HC3 of MacKinnon & White 1985, "Some heteroskedasticity-consistent covariance matrix estimators".
        """
        total = self.rows.sum()
        return self.influences() / torch.where(self.rows < total, 1 - self.rows / total, 1)

    def merged(self, units: Int[Tensor, " cluster"]) -> "ClusterSums":
        """Merge clusters into larger ones of one encoder each, numbered from 0 in ``units``."""
        total, there = int(units.max()) + 1, self.nonempty()
        sums, rows = (torch.zeros(total, dtype=torch.float64).index_add_(0, units, x.double()) for x in self[:2])
        if self.encoder is None:
            return ClusterSums(sums, rows)
        return ClusterSums(sums, rows, units.new_zeros(total).scatter_(0, units[there], self.encoder[there]))


def cluster_sums(scores: Float[Tensor, " n"], units: Int[Tensor, " n"], total: int) -> ClusterSums:
    """Sum the scores of rows in each of ``total`` clusters, numbered by ``units``."""
    zeros = torch.zeros(total, dtype=torch.float64)
    rows = zeros.index_add(0, units, torch.ones(len(units), dtype=torch.float64))
    return ClusterSums(zeros.index_add(0, units, scores.double()), rows)


def intraclass_correlation(
    margins: Float[Tensor, " n"], units: Int[Tensor, " n"], strata: Int[Tensor, " n"] | None = None
) -> float:
    """Return the intraclass correlation, 0..1, of the normal scores of margins.

    Analysis-of-variance estimator (Donner 1986, "A review of inference procedures for the intraclass correlation").

    Args:
        strata: counts, which differ in difficulty for all clusters: margins are ranked within each.
    """
    scores = torch.empty(len(margins), dtype=torch.float64)
    strata = torch.zeros_like(units) if strata is None else strata
    for stratum in strata.unique():
        own = strata == stratum
        ranks = torch.from_numpy(rankdata(margins[own]))
        scores[own] = torch.special.ndtri((ranks - 0.5) / len(ranks))
    found = cluster_sums(scores, units, int(units.max()) + 1)
    sums, rows = (column[found.nonempty()] for column in found[:2])
    number, total = len(rows), float(rows.sum())
    if number < 2 or number == total:
        return 1.0
    means = sums / rows
    between = float((rows * (means - scores.mean()).square()).sum()) / (number - 1)
    within = (float(scores.square().sum()) - float((rows * means.square()).sum())) / (total - number)
    size = (total - float(rows.square().sum()) / total) / (number - 1)
    spread = between + (size - 1) * within
    return min(max((between - within) / spread, 0.0), 1.0) if spread > 0 else 1.0


def proportion_interval(found: ClusterSums) -> Interval:
    """Return Wilson's interval of a proportion at the effective sample size; its width is never 0."""
    return _wilson_interval(found, *_variance(found))


def _wilson_interval(found: ClusterSums, variance: float, freedom: float) -> Interval:
    share, total = found.value, float(found.rows.sum())
    if variance > 0 and 0 < share < 1:
        rows = min(share * (1 - share) / variance, total)
    else:
        size = float(found.rows.square().sum()) / total  # mean cluster size, over rows
        rows = total / (1 + (size - 1) * found.icc)  # Kish 1965, "Survey sampling": the design effect
    quantile = _t_quantile(freedom)
    middle = share + quantile**2 / (2 * rows)
    half = quantile * (share * (1 - share) / rows + quantile**2 / (4 * rows**2)) ** 0.5
    low, high = ((middle + side * half) / (1 + quantile**2 / rows) for side in (-1, 1))
    # at 0 and 1 an end is the share itself, but for rounding
    return Interval(share, max(min(low, share), 0.0), min(max(high, share), 1.0))


def mean_interval(found: ClusterSums) -> Interval:
    """Return a t interval of a mean over rows, or of a ratio of two sums; NaN bounds where there is one cluster."""
    variance, freedom = _variance(found)
    half = _t_quantile(freedom) * variance**0.5
    return Interval(found.value, found.value - half, found.value + half)


def positive_mean_interval(found: ClusterSums) -> Interval:
    """Return a t interval of the logarithm of a mean that cannot be negative, such as a code length."""
    if found.value <= 0:
        return mean_interval(found)
    variance, freedom = _variance(found)
    factor = math.exp(_t_quantile(freedom) * variance**0.5 / found.value)
    return Interval(found.value, found.value / factor, found.value * factor)


def r2_interval(missed: ClusterSums) -> Interval:
    """Return R² and its interval; ``missed`` are squared errors (sums) and squared deviations from the mean (rows).

    A t interval of log(1 - R²): the ratio itself is skewed by the few objects of largest error.
    """
    ratio = missed.value
    if ratio <= 0:
        return Interval(1 - ratio, 1 - ratio, 1 - ratio)
    variance, freedom = _variance(missed, missed.hc3_influences())
    factor = math.exp(_t_quantile(freedom) * variance**0.5 / ratio)
    return Interval(1 - ratio, 1 - ratio * factor, 1 - ratio / factor)


def proportion_difference(first: ClusterSums, second: ClusterSums) -> Interval:
    """Return the first proportion less the second on the same clusters, with its paired interval (MOVER).

    Where clusters are few and differ much, plain intervals of the two are too narrow to be combined: variances are
    HC3's, with degrees of freedom after the kurtosis of influences. Variance over encoders is not shared by the two,
    and lowers their correlation.
    """
    variances = [_variance(each, each.hc3_influences(), kurtosis=True) for each in (first, second)]
    a, b = (_wilson_interval(each, *found) for each, found in zip((first, second), variances, strict=True))
    x, y = first.influences(), second.influences()
    lengths = float(x.norm() * y.norm())
    correlation = float(x @ y) / lengths if lengths > 0 else 0.0
    for each, (variance, _) in zip((first, second), variances, strict=True):
        for own, _ in _encoder_variance(each):
            correlation *= (1 - own / variance) ** 0.5 if variance > 0 else 1.0

    def reach(one: float, other: float) -> float:
        return max(one**2 + other**2 - 2 * correlation * one * other, 0.0) ** 0.5

    value = a.value - b.value
    low = value - reach(a.value - a.low, b.high - b.value)
    return Interval(value, low, value + reach(a.high - a.value, b.value - b.low))


def linear_combination(parts: Sequence[ClusterSums], weights: Sequence[float]) -> Interval:
    """Return a contrast of means or ratios on the same clusters, such as a difference, with its t interval."""
    value = sum(weight * part.value for weight, part in zip(weights, parts, strict=True))
    each = [weight * part.hc3_influences() for weight, part in zip(weights, parts, strict=True)]
    deviations = torch.stack(each).sum(dim=0)
    units = int(torch.stack([part.nonempty() for part in parts]).any(dim=0).sum())
    if units < 2:
        return Interval(value, math.nan, math.nan)
    found = [(float(deviations.square().sum()) * units / (units - 1), units - 1.0)]
    found += [
        (weight**2 * v, f) for part, weight in zip(parts, weights, strict=True) for v, f in _encoder_variance(part)
    ]
    variance, freedom = _sum_variances(found)
    half = _t_quantile(freedom) * variance**0.5
    return Interval(value, value - half, value + half)


def _variance(
    found: ClusterSums, deviations: Float[Tensor, " cluster"] | None = None, *, kurtosis: bool = False
) -> tuple[float, float]:
    """Return the variance of the estimate over clusters and encoders, NaN for one cluster; and degrees of freedom."""
    deviations = found.influences() if deviations is None else deviations
    units = int(found.nonempty().sum())
    if units < 2:
        return math.nan, 1.0
    squares, freedom = float(deviations.square().sum()), units - 1.0
    if kurtosis and squares > 0:
        tails = units * float(deviations.pow(4).sum()) / squares**2
        # twice the squared mean of a sample variance over its variance, at this kurtosis (units - 1 for normal ones)
        freedom = min(freedom, 2 * units / max(tails - (units - 3) / (units - 1), 1e-12))
    return _sum_variances([(squares * units / (units - 1), freedom), *_encoder_variance(found)])


def _encoder_variance(found: ClusterSums) -> list[tuple[float, float]]:
    """Return variance and degrees of freedom of the mean over untrained encoders; empty for one."""
    if found.encoder is None:
        return []
    kinds = [found.encoder == kind for kind in found.encoder[found.nonempty()].unique()]
    if len(kinds) < 2:
        return []
    values = torch.stack([found.sums[own].sum() / found.rows[own].sum() for own in kinds])
    return [(float(values.var()) / len(kinds), len(kinds) - 1.0)]


def _sum_variances(variances: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the sum of independent variances and its degrees of freedom (Satterthwaite 1946)."""
    total = sum(variance for variance, _ in variances)
    if total == 0:
        return 0.0, min(freedom for _, freedom in variances)
    return total, total**2 / sum(variance**2 / freedom for variance, freedom in variances)


def _t_quantile(freedom: float) -> float:
    """Return the quantile of Student's t that a 95 % interval needs; ``scipy.stats.t.ppf`` without its overhead."""
    return float(stdtrit(max(freedom, 1.0), QUANTILE))
