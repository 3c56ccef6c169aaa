"""Targets encoded as columns of a multi-output regression, and the scores of its predictions."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.ridge import Block, Predicted
from gqn_probe.analysis.questions.targets import ALIKE, Classes, Values


class EncodedTarget(NamedTuple):
    """A target and the columns that ridge regression fits."""

    name: str
    found: Classes | Values
    columns: Float[Tensor, "s j"]


def target_columns(found: Classes | Values) -> Float[Tensor, "s j"]:
    """Return the columns to fit: values, or one-hot classes."""
    if isinstance(found, Values):
        return found.values
    return torch.nn.functional.one_hot(found.labels.clamp(min=0), found.kinds).float()


def column_blocks(truths: Sequence[EncodedTarget]) -> list[Block]:
    """Return the column range of each target in the concatenated columns."""
    stops = torch.tensor([0, *(truth.columns.shape[1] for truth in truths)]).cumsum(dim=0).tolist()
    spans = zip(truths, pairwise(stops), strict=True)
    return [Block(*span, classes=isinstance(truth.found, Classes)) for truth, span in spans]


def held_out_groups(truth: EncodedTarget) -> Int[Tensor, " s"] | None:
    """Return the groups that are held out together; None: single objects."""
    return truth.found.groups if isinstance(truth.found, Classes) else None


def applicable_objects(truth: EncodedTarget, objects: Int[Tensor, " s"]) -> tuple[Int[Tensor, " a"], Int[Tensor, " s"]]:
    """Return the objects for which the target is defined, and the group of every object."""
    groups = held_out_groups(truth)
    if isinstance(truth.found, Classes) and groups is not None:
        return (truth.found.labels >= 0).nonzero()[:, 0], groups
    return objects, objects


def has_variance(found: Values) -> bool:
    """Return True if the scored values differ between objects."""
    values = found.values if found.derive is None else found.derive(found.values)
    return float(values.std(dim=0).max()) > ALIKE


def score_predictions(
    truth: EncodedTarget, predicted: Predicted, block: Block, train: Int[Tensor, " a"], test: Int[Tensor, " test"]
) -> Float[Tensor, "2 test"]:
    """Return numerator and denominator of the score by test row.

    Of classes whether it is correct, and 1; of values its squared error, and that of the training mean.
    """
    values, left_out = predicted.values[test, block.start : block.stop], predicted.left_out[:, block.start : block.stop]
    if isinstance(truth.found, Classes):
        return torch.stack([values.argmax(dim=1) == truth.found.labels[test], torch.ones(len(test))]).double()
    known, wanted = (truth.found.values[rows].double() for rows in (train, test))
    if truth.found.derive is not None:
        known, wanted, values, left_out = map(truth.found.derive, (known, wanted, values, left_out))
        values = calibrated(left_out, known, values)
    return torch.stack([(values - wanted).square().sum(dim=1), (known.mean(dim=0) - wanted).square().sum(dim=1)])


def calibrated(
    left_out: Float[Tensor, "a scored"], known: Float[Tensor, "a scored"], values: Float[Tensor, "test scored"]
) -> Float[Tensor, "test scored"]:
    """Correct derived predictions, which shrinkage biases, by a line fitted to leave-one-out predictions.

    As for targets that are not derived, the mean is predicted where the gain over it is below one standard error.
    """
    middle, mean = left_out.mean(dim=0), known.mean(dim=0)
    slope = ((left_out - middle) * known).sum() / (left_out - middle).square().sum().clamp(min=1e-12)
    slope = slope.clamp(0, 1)
    errors = (mean + slope * (left_out - middle) - known).square().sum(dim=1)
    gain = (mean - known).square().sum(dim=1) - errors
    if gain.mean() <= gain.std() / len(gain) ** 0.5:
        return mean.expand_as(values)
    return mean + slope * (values - middle)
