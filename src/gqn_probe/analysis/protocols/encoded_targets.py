"""Targets' values as ridge fits them, several side by side, and how far a prediction is from them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.ridge import Block, Predicted
from gqn_probe.analysis.questions.targets import ALIKE, Classes, Values


class EncodedTarget(NamedTuple):
    """A target's values as ridge fits them, and where they stand among those fitted together."""

    name: str
    found: Classes | Values
    columns: Float[Tensor, "s j"]


def target_columns(found: Classes | Values) -> Float[Tensor, "s j"]:
    """The columns that ridge fits: the values themselves, or one a class."""
    if isinstance(found, Values):
        return found.values
    return torch.nn.functional.one_hot(found.labels.clamp(min=0), found.kinds).float()


def column_blocks(truths: Sequence[EncodedTarget]) -> list[Block]:
    """Where each target stands among the columns of all."""
    stops = torch.tensor([0, *(truth.columns.shape[1] for truth in truths)]).cumsum(dim=0).tolist()
    spans = zip(truths, pairwise(stops), strict=True)
    return [Block(*span, classes=isinstance(truth.found, Classes)) for truth, span in spans]


def held_out_groups(truth: EncodedTarget) -> Int[Tensor, " s"] | None:
    """The groups that objects are held out with; None: each by itself."""
    return truth.found.groups if isinstance(truth.found, Classes) else None


def applicable_objects(truth: EncodedTarget, objects: Int[Tensor, " s"]) -> tuple[Int[Tensor, " a"], Int[Tensor, " s"]]:
    """The objects that a question is asked of, and what each is held out with."""
    groups = held_out_groups(truth)
    if isinstance(truth.found, Classes) and groups is not None:
        return (truth.found.labels >= 0).nonzero()[:, 0], groups
    return objects, objects


def has_variance(found: Values) -> bool:
    """Whether objects differ in it at all."""
    values = found.values if found.derive is None else found.derive(found.values)
    return float(values.std(dim=0).max()) > ALIKE


def score_predictions(
    truth: EncodedTarget, predicted: Predicted, block: Block, train: Int[Tensor, " a"], test: Int[Tensor, " test"]
) -> Float[Tensor, "2 test"]:
    """Of each test row whether its class was read, and 1; or its squared error, and that of the training mean."""
    values, left_out = predicted.values[test, block.start : block.stop], predicted.left_out[:, block.start : block.stop]
    if isinstance(truth.found, Classes):
        return torch.stack([values.argmax(dim=1) == truth.found.labels[test], torch.ones(len(test))]).double()
    known, wanted = (truth.found.values[rows].double() for rows in (train, test))
    if truth.found.derive is not None:
        known, wanted, values, left_out = map(truth.found.derive, (known, wanted, values, left_out))
        # what is derived from a blunt reading is biased: a line through training rows left out in turn sets it right
        middle = left_out.mean(dim=0)
        slope = ((left_out - middle) * known).sum() / (left_out - middle).square().sum().clamp(min=1e-12)
        values = known.mean(dim=0) + slope.clamp(0, 1) * (values - middle)
    return torch.stack([(values - wanted).square().sum(dim=1), (known.mean(dim=0) - wanted).square().sum(dim=1)])
