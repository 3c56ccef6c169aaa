"""Intervals by bootstrap over objects, and permutation tests with labels permuted within objects.

Rows of one object are not independent, so objects are what is drawn with replacement (Efron & Tibshirani 1993,
chapter 8). All statistics of a study share the same draws, which makes their differences paired.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.results import Interval

CHUNK = 500  # resamples at a time


class ObjectBootstrap:
    """Resamples of ``objects`` objects, as how often each was drawn.

    Args:
        groups: the group of each object, 0 and up, where rows are of several objects of one group; whole groups are
            drawn then.
    """

    def __init__(self, objects: int, *, resamples: int, seed: int, groups: Int[Tensor, " s"] | None = None) -> None:
        random = np.random.default_rng(seed)
        units = objects if groups is None else int(groups.max()) + 1
        draws = torch.zeros(resamples, units, dtype=torch.uint8)
        for start in range(0, resamples, CHUNK):
            stop = min(start + CHUNK, resamples)
            chosen = torch.from_numpy(random.integers(units, size=(stop - start, units)))
            draws[start:stop].scatter_add_(1, chosen, torch.ones_like(chosen, dtype=torch.uint8))
        self.draws = draws if groups is None else draws[:, groups]

    def means(self, sums: Float[Tensor, "s m"], rows: Float[Tensor, "s m"]) -> Float[Tensor, "resample m"]:
        """The means over rows in every resample, from each object's sums and numbers of rows."""
        both = torch.cat([sums, rows], dim=1).double()
        drawn = torch.cat([part.double() @ both for part in self.draws.split(CHUNK)])
        totals, numbers = drawn.chunk(2, dim=1)
        return totals / numbers

    def intervals(self, sums: Float[Tensor, "s m"], rows: Float[Tensor, "s m"]) -> list[Interval]:
        """The means over all rows with their intervals."""
        values = sums.double().sum(dim=0) / rows.double().sum(dim=0)
        return [interval(float(v), column) for v, column in zip(values, self.means(sums, rows).T, strict=True)]


def interval(value: float, resampled: Float[Tensor, " resample"]) -> Interval:
    """The interval that 95 % of the resamples with any rows lie in; NaN where none has."""
    there = resampled[~resampled.isnan()].numpy()
    low, high = np.quantile(there, [0.025, 0.975]) if len(there) else (np.nan, np.nan)
    return Interval(value, float(low), float(high))


class WithinObjectPermutations:
    """Orders of the labels of each object, shared by all tests of a study."""

    def __init__(self, objects: int, counts: int, *, permutations: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.empty(permutations, objects, counts, dtype=torch.uint8)
        for each in self.labels:
            each.copy_(torch.rand(objects, counts, generator=generator).argsort(dim=1))

    def p_value(self, labels: Int[Tensor, "o k"], predicted: Int[Tensor, "o k"], objects: Int[Tensor, " o"]) -> float:
        """How often permuted labels agree with the predictions as well as the true ones do (one-sided).

        The predictions were made without these labels, so under the null their order within an object is free.
        """
        observed = (labels == predicted).sum()
        shuffled = torch.stack([
            (labels.gather(1, each[objects].long()) == predicted).sum() for each in self.labels
        ])  # fmt: skip
        return float((1 + (shuffled >= observed).sum()) / (1 + len(shuffled)))
