"""Train, validation and test: by object or shape, so that nothing of a test object is ever trained on.

Each seed holds out another fifth, so that five seeds test every object once; of fewer than five shapes, another shape.
The next five draw other fifths.
"""

from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Int
from torch import Tensor

FOLDS = 5  # a fifth is tested
VALIDATION = 0.2  # of what is left


def approximate_train_rows(rows: int) -> int:
    """Expected number of training rows of a split by object."""
    return round((1 - 1 / FOLDS) * (1 - VALIDATION) * rows)


class Split(NamedTuple):
    """Indices of objects, or of rows."""

    train: Int[Tensor, " train"]
    validation: Int[Tensor, " validation"]
    test: Int[Tensor, " test"]


def folds_of(groups: Int[Tensor, " n"]) -> int:
    """Number of seeds that together test each group once."""
    return min(FOLDS, len(groups.unique()))


def split_groups(groups: Int[Tensor, " n"], seed: int) -> Split:
    """Split members so that all of one group fall into one part.

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


def rows_of(objects: Int[Tensor, " s"], counts: int) -> Int[Tensor, " n"]:
    """The rows of some objects, where an object's ``counts`` rows follow each other."""
    return rearrange(objects[:, None] * counts + torch.arange(counts), "s k -> (s k)")


def split_rows(objects: int, counts: int, seed: int) -> Split:
    """Split the rows of every object in an order of its own: objects and counts are all trained on and tested.

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
