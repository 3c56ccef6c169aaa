"""Grouped cross-validation: splits into train, validation and test by object or shape.

Seeds 0 to 4 are the folds of one partition, which test every object once (fewer folds if there are fewer than five
groups); the next five seeds are those of another partition.
"""

from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Int
from torch import Tensor

FOLDS = 5
VALIDATION = 0.2  # share of what is not tested


def approximate_train_rows(rows: int) -> int:
    """Return the expected number of training rows of a split by object."""
    return round((1 - 1 / FOLDS) * (1 - VALIDATION) * rows)


class Split(NamedTuple):
    """Indices of objects, or of rows."""

    train: Int[Tensor, " train"]
    validation: Int[Tensor, " validation"]
    test: Int[Tensor, " test"]


def folds_of(groups: Int[Tensor, " n"]) -> int:
    """Return the number of folds, whose seeds together test each group once."""
    return min(FOLDS, len(groups.unique()))


def split_groups(groups: Int[Tensor, " n"], seed: int) -> Split:
    """Split members into three parts so that no group is divided.

    Raises:
        ValueError: fewer than three groups.
    """
    names = groups.unique()
    if len(names) < 3:
        raise ValueError(f"a split into three parts needs 3 groups or more, got {len(names)}; use more objects")
    number = folds_of(groups)
    turn, chosen = divmod(seed, number)
    order = torch.from_numpy(np.random.default_rng([turn, 0]).permutation(len(names)))
    folds = order.tensor_split(number)
    test = folds[chosen]
    rest = torch.cat([fold for i, fold in enumerate(folds) if i != chosen])
    rest = rest[torch.from_numpy(np.random.default_rng([seed, 1]).permutation(len(rest)))]
    held = max(1, round(VALIDATION * len(rest)))
    parts = (rest[held:], rest[:held], test)
    return Split(*(torch.isin(groups, names[part]).nonzero()[:, 0] for part in parts))


def drawn(objects: Int[Tensor, " n"], size: int, seed: int) -> Int[Tensor, " {size}"]:
    """Draw some of the objects, in their order; of one seed, a smaller draw is part of every larger one."""
    order = torch.from_numpy(np.random.default_rng([seed, 3]).permutation(len(objects)))
    return objects[order[:size].sort().values]


def rows_of(objects: Int[Tensor, " s"], counts: int) -> Int[Tensor, " n"]:
    """Return the rows of some objects, each of which has ``counts`` consecutive rows."""
    return rearrange(objects[:, None] * counts + torch.arange(counts), "s k -> (s k)")


def split_rows(objects: int, counts: int, seed: int) -> Split:
    """Split the rows of each object at random, so that every object and count occurs in every part.

    Raises:
        ValueError: fewer than three counts.
    """
    if counts < 3:
        raise ValueError(f"a split of each object's rows needs 3 counts or more, got {counts}")
    parts = split_groups(torch.arange(counts), seed)
    turn = seed // folds_of(torch.arange(counts))
    order = np.random.default_rng([turn, 2]).random((objects, counts)).argsort(axis=1)
    rows = torch.from_numpy(order) + counts * torch.arange(objects)[:, None]
    return Split(*(rearrange(rows[:, part], "s k -> (s k)") for part in parts))
