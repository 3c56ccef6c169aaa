"""Intervals over objects: of shares, means, ratios and their paired differences; all 95 %.

Rows of one object are not independent, so an object is the unit, and all is told by each unit's sums. Shares have
Wilson's interval (Wilson 1927) with as many rows as independent ones would need for the same variance (Korn & Graubard
1998), and a t quantile: percentiles of a bootstrap collapse at the ceiling, where no object was misread. There no error
says how much rows of a unit have in common; margins do, by which rows were read rightly. If a row is misread where its
margin is below 0, errors have less in common than margins, so that what margins say is on the safe side. Differences of
shares combine both intervals with their correlation (Newcombe 1998, method 10; Zou & Donner 2008, MOVER).
What they leave out: another training of the network, and another draw of the probe's training objects.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from scipy.stats import rankdata
from scipy.stats import t as student
from torch import Tensor

from gqn_probe.results import Interval

LEVEL = 0.95
QUANTILE = 0.5 + LEVEL / 2


class ClusterSums(NamedTuple):
    """What a score comes to in each unit (an object, or a group that is resampled as a whole)."""

    sums: Float[Tensor, " cluster"]  # of the score over the unit's rows; of shares how many rows are right
    rows: Float[Tensor, " cluster"]  # of the unit; of ratios the denominator
    encoder: Int[Tensor, " cluster"] | None = None  # of newly initialised encoders, which vary beside the units
    icc: float = 1.0  # correlation of margins within a unit; where no row is misread, of how many rows they tell

    @property
    def value(self) -> float:
        return float(self.sums.sum() / self.rows.sum())

    def nonempty(self) -> Tensor:
        """The units that have rows."""
        return self.rows > 0

    def influences(self) -> Float[Tensor, " cluster"]:
        """What each unit adds to the error of the ratio of sums, to first order."""
        return (self.sums - self.value * self.rows) / self.rows.sum()

    def hc3_influences(self) -> Float[Tensor, " cluster"]:
        """The same, each divided by the share of the others: first order errs on the narrow side with few units.

        As HC3 does (MacKinnon & White 1985, "Some heteroskedasticity-consistent covariance matrix estimators").
        """
        total = self.rows.sum()
        return self.influences() / torch.where(self.rows < total, 1 - self.rows / total, 1)

    def merged(self, units: Int[Tensor, " cluster"]) -> "ClusterSums":
        """The same with units joined to greater ones, numbered from 0."""
        total = int(units.max()) + 1
        sums, rows = (torch.zeros(total, dtype=torch.float64).index_add_(0, units, x.double()) for x in self[:2])
        return ClusterSums(sums, rows)


def cluster_sums(scores: Float[Tensor, " n"], units: Int[Tensor, " n"], total: int) -> ClusterSums:
    """Sums and numbers of rows of each of ``total`` units."""
    zeros = torch.zeros(total, dtype=torch.float64)
    rows = zeros.index_add(0, units, torch.ones(len(units), dtype=torch.float64))
    return ClusterSums(zeros.index_add(0, units, scores.double()), rows)


def intraclass_correlation(
    margins: Float[Tensor, " n"], units: Int[Tensor, " n"], strata: Int[Tensor, " n"] | None = None
) -> float:
    """How much margins of one unit have in common, 0..1: the intraclass correlation of their normal scores.

    From the analysis of variance (Donner 1986, "A review of inference procedures for the intraclass correlation").

    Args:
        strata: rows of another count, which are harder or easier for all units; ranked apart.
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
    """Wilson's interval of a share with effective rows; never of no width."""
    share, total = found.value, float(found.rows.sum())
    variance, freedom = _variance(found)
    if variance > 0 and 0 < share < 1:
        rows = min(share * (1 - share) / variance, total)
    else:
        size = float(found.rows.square().sum()) / total  # of the unit of a row
        rows = total / (1 + (size - 1) * found.icc)  # Kish 1965, "Survey sampling": the design effect
    quantile = float(student.ppf(QUANTILE, max(freedom, 1.0)))
    middle = share + quantile**2 / (2 * rows)
    half = quantile * (share * (1 - share) / rows + quantile**2 / (4 * rows**2)) ** 0.5
    low, high = ((middle + side * half) / (1 + quantile**2 / rows) for side in (-1, 1))
    return Interval(share, min(low, share), max(high, share))  # at 0 and 1 an end is the share, but for rounding


def mean_interval(found: ClusterSums) -> Interval:
    """A t interval of a mean over rows, or of a ratio of two sums."""
    variance, freedom = _variance(found)
    half = float(student.ppf(QUANTILE, max(freedom, 1.0))) * variance**0.5
    return Interval(found.value, found.value - half, found.value + half)


def r2_interval(missed: ClusterSums) -> Interval:
    """The share of variance explained, from squared errors over squared deviations from the mean.

    A t interval of the logarithm of what is missed: a few objects with great errors make the ratio itself skew.
    """
    ratio = missed.value
    if ratio <= 0:
        return Interval(1 - ratio, 1 - ratio, 1 - ratio)
    variance, freedom = _variance(missed, missed.hc3_influences())
    factor = math.exp(float(student.ppf(QUANTILE, max(freedom, 1.0))) * variance**0.5 / ratio)
    return Interval(1 - ratio, 1 - ratio * factor, 1 - ratio / factor)


def proportion_difference(first: ClusterSums, second: ClusterSums) -> Interval:
    """The first share less the second on the same units."""
    a, b = proportion_interval(first), proportion_interval(second)
    x, y = first.influences(), second.influences()
    lengths = float(x.norm() * y.norm())
    correlation = float(x @ y) / lengths if lengths > 0 else 0.0

    def reach(one: float, other: float) -> float:
        return max(one**2 + other**2 - 2 * correlation * one * other, 0.0) ** 0.5

    value = a.value - b.value
    low = value - reach(a.value - a.low, b.high - b.value)
    return Interval(value, low, value + reach(a.high - a.value, b.value - b.low))


def linear_combination(parts: Sequence[ClusterSums], weights: Sequence[float]) -> Interval:
    """A weighted sum of means or ratios on the same units, such as a difference or a difference of differences."""
    value = sum(weight * part.value for weight, part in zip(weights, parts, strict=True))
    each = [weight * part.hc3_influences() for weight, part in zip(weights, parts, strict=True)]
    deviations = torch.stack(each).sum(dim=0)
    units = int(torch.stack([part.nonempty() for part in parts]).any(dim=0).sum())
    found = [(float(deviations.square().sum()) * units / max(units - 1, 1), max(units - 1.0, 1.0))]
    found += [
        (weight**2 * v, f) for part, weight in zip(parts, weights, strict=True) for v, f in _encoder_variance(part)
    ]
    variance, freedom = _sum_variances(found)
    half = float(student.ppf(QUANTILE, freedom)) * variance**0.5
    return Interval(value, value - half, value + half)


def _variance(found: ClusterSums, deviations: Float[Tensor, " cluster"] | None = None) -> tuple[float, float]:
    """The variance of the value over units and encoders, and its degrees of freedom."""
    deviations = found.influences() if deviations is None else deviations
    units = int(found.nonempty().sum())
    if units < 2:
        return 0.0, 1.0
    of_units = float(deviations.square().sum()) * units / (units - 1)
    return _sum_variances([(of_units, units - 1.0), *_encoder_variance(found)])


def _encoder_variance(found: ClusterSums) -> list[tuple[float, float]]:
    """The variance of the value over newly initialised encoders, where there are several."""
    if found.encoder is None:
        return []
    kinds = [found.encoder == kind for kind in found.encoder[found.nonempty()].unique()]
    if len(kinds) < 2:
        return []
    values = torch.stack([found.sums[own].sum() / found.rows[own].sum() for own in kinds])
    return [(float(values.var()) / len(kinds), len(kinds) - 1.0)]


def _sum_variances(variances: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The sum of independent variances, with its degrees of freedom (Satterthwaite 1946)."""
    total = sum(variance for variance, _ in variances)
    if total == 0:
        return 0.0, min(freedom for _, freedom in variances)
    return total, total**2 / sum(variance**2 / freedom for variance, freedom in variances)
