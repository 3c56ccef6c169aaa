"""Ablation of r: what can be decoded and predicted without some of its channels (or points).

Channels are ablated in the order of their use by a linear probe of the count, or of a property. The controls are as
many at random, and as many random ones as carry the same variance: only harm beyond theirs is evidence about the
channels. An ablated channel is set to its mean, and probes are trained anew, so that what other channels carry as well
is not missed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.ridge import KernelRidge
from gqn_probe.analysis.questions.splits import folds_of, rows_of, split_groups
from gqn_probe.analysis.questions.targets import Classes, Values
from gqn_probe.analysis.statistics.intervals import cluster_sums, proportion_interval, r2_interval
from gqn_probe.choices import check_choice
from gqn_probe.results import Interval

UNITS = ("channel", "position")
RANDOM = 3  # draws of each random control
TOP, SAME_NUMBER, SAME_NORM = "top", "random", "norm_matched"


class Ablation(NamedTuple):
    """Units of r to ablate."""

    ranking: str  # what the probe that ranks them reads: "count", a target; "" for random ones
    kind: str
    share: float  # of the units that the ranking's first are
    units: Int[Tensor, " unit"]


def split_by_unit(r: Float[Tensor, "n d y x"], unit: str) -> Float[Tensor, "n unit f"]:
    """Reshape r to one row per unit: its channels, or its positions (points).

    Raises:
        ValueError: the unit is neither.
    """
    check_choice("analysis.unit", unit, UNITS)
    return rearrange(r, "n d y x -> n d (y x)" if unit == "channel" else "n d y x -> n (y x) d")


def unit_usage(
    rows: Float[Tensor, "n unit f"], values: Float[Tensor, "n j"], strength: float = 1e-2
) -> Float[Tensor, " unit"]:
    """Return each unit's use by a linear probe of ``values``: the standard deviation of its term in the prediction.

    Ridge in the dual form; weights alone would rank a unit high for being small.
    """
    flat = rearrange(rows, "n u f -> n (u f)").double()
    flat = flat - flat.mean(dim=0)
    wanted = values.double() - values.double().mean(dim=0)
    kernel = flat @ flat.T
    ridge = strength * kernel.diagonal().mean() * torch.eye(len(kernel), dtype=torch.float64)
    weights = rearrange(flat.T @ torch.linalg.solve(kernel + ridge, wanted), "(u f) t -> u f t", u=rows.shape[1])
    added = torch.einsum("nuf,uft->unt", rearrange(flat, "n (u f) -> n u f", u=rows.shape[1]), weights)
    return added.square().mean(dim=1).sum(dim=-1).sqrt()


def ablations(
    rankings: Mapping[str, Float[Tensor, " unit"]], variance: Float[Tensor, " unit"], shares: Sequence[float], seed: int
) -> Iterator[Ablation]:
    """Yield the most used units of each ranking, and the two random controls of the first ranking."""
    generator, number = torch.Generator().manual_seed(seed), len(variance)
    for share in shares:
        size = min(max(1, round(share * number)), number)
        for ranking, used in rankings.items():
            yield Ablation(ranking, TOP, share, used.argsort(descending=True)[:size])
        first = next(iter(rankings.values())).argsort(descending=True)[:size]
        for _ in range(RANDOM):
            order = torch.randperm(number, generator=generator)
            yield Ablation("", SAME_NUMBER, share, order[:size])
            carried = variance[order].cumsum(dim=0)
            last = int((carried - variance[first].sum()).abs().argmin())
            yield Ablation("", SAME_NORM, share, order[: last + 1])


def ablate(rows: Float[Tensor, "n unit f"], units: Int[Tensor, " a"]) -> Float[Tensor, "n unit f"]:
    """Return the rows with some units set to their mean over all rows."""
    left = rows.clone()
    left[:, units] = rows[:, units].mean(dim=0)
    return left


def decode_counts(
    kernel: Float[Tensor, "n n"], objects: int, counts: Sequence[int], strengths: Sequence[float], seed: int
) -> Interval:
    """Return the cross-validated accuracy of the count nearest to a ridge regression's prediction.

    Rows are objects by counts, an object's one after another.
    """
    known = torch.tensor(counts, dtype=torch.float32)
    labels = torch.arange(len(counts)).repeat(objects)
    right = torch.zeros(len(labels))
    turns = range(folds_of(torch.arange(objects)))
    for fold in turns:
        split = split_groups(torch.arange(objects), seed * len(turns) + fold)
        train, test = (rows_of(part, len(counts)) for part in (torch.cat([split.train, split.validation]), split.test))
        ridge = KernelRidge(kernel, train, strengths)
        read = ridge.predict([Values(known[labels][:, None])])[0].values[test]
        right[test] = ((read - known).abs().argmin(dim=1) == labels[test]).float()
    return proportion_interval(cluster_sums(right, torch.arange(objects).repeat_interleave(len(counts)), objects))


def decode_target(
    kernel: Float[Tensor, "s s"], found: Classes | Values, strengths: Sequence[float], seed: int
) -> tuple[str, Interval]:
    """Return the cross-validated accuracy or R² of a target by ridge regression."""
    objects = torch.arange(len(kernel))
    classes = isinstance(found, Classes)
    columns = found.columns
    asked = (found.labels >= 0).nonzero()[:, 0] if classes else objects
    groups = objects if found.groups is None else found.groups
    missed, whole = torch.zeros(len(objects)), torch.zeros(len(objects))
    turns = range(folds_of(groups[asked]))
    for fold in turns:
        split = split_groups(groups[asked], seed * len(turns) + fold)
        train, test = asked[torch.cat([split.train, split.validation])], asked[split.test]
        read = KernelRidge(kernel, train, strengths).predict([found])[0].values[test]
        if classes:
            missed[test], whole[test] = (read.argmax(dim=1) == found.labels[test]).float(), 1.0
        else:
            missed[test] = (read - columns[test]).square().sum(dim=1).float()
            whole[test] = (columns[test] - columns[train].mean(dim=0)).square().sum(dim=1)
    sums = cluster_sums(missed[asked], asked, len(objects))._replace(rows=whole.double())
    return ("accuracy", proportion_interval(sums)) if classes else ("r2", r2_interval(sums))


def unit_variance(rows: Float[Tensor, "n unit f"]) -> Float[Tensor, " unit"]:
    """Return each unit's variance over all rows, summed over its numbers."""
    return reduce(rows.double().var(dim=0, correction=0), "u f -> u", "sum")
