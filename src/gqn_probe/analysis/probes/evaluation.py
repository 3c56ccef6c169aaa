"""What every probe does: learn from training rows, choose on validation rows, read test rows once."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import CaseName, ProbeDataset
from gqn_probe.analysis.probes.predictions import Predictions, row_scores

CHUNK = 8192  # rows read at a time outside of training

Logits = Callable[[Float[Tensor, "n f"]], Float[Tensor, "n k"]]


class Curves(NamedTuple):
    """Means over the rows of an epoch; the training columns while the weights still move, as Keras reports them."""

    train_loss: Float[Tensor, " epoch *t"]  # nats
    train_accuracy: Float[Tensor, " epoch *t"]
    validation_loss: Float[Tensor, " epoch *t"]
    validation_accuracy: Float[Tensor, " epoch *t"]


class ProbeResult(NamedTuple):
    """One probe of one dataset, with what it read."""

    dataset: ProbeDataset
    setting: float  # what validation rows chose
    train: Float[Tensor, " metric"] | None  # its ``ROW_METRICS``; None where training rows would find themselves
    validation: Float[Tensor, " metric"]
    test: Predictions
    curves: Curves | None  # of the chosen setting, one value an epoch


@runtime_checkable
class Probe(Protocol):
    """Reads classes from datasets; ``values`` are the numbers that the classes stand for, such as counts."""

    def evaluate(
        self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str
    ) -> list[ProbeResult]: ...


def select_strength(accuracy: Float[Tensor, " m"], loss: Float[Tensor, " m"]) -> int:
    """The most accurate, and of several the one of least loss.

    Loss alone would follow a few rows far out, which a sharp probe misses by many nats: it then prefers one so blunt
    that it misses common rows, too.
    """
    return int(loss.masked_fill(accuracy < accuracy.max(), torch.inf).argmin())


def evaluate_splits(
    dataset: ProbeDataset,
    logits: Logits,
    values: Float[Tensor, " k"],
    setting: float,
    curves: Curves | None,
    *,
    train: bool = True,
) -> ProbeResult:
    """Read every part of a dataset in chunks of rows; of all but the test rows, scores are enough."""

    def predictions(features: Float[Tensor, "n f"], rows: Int[Tensor, " a"]) -> Predictions:
        return Predictions.from_logits(dataset.groups[rows], dataset.labels[rows], logits(features[rows]))

    def scores(rows: Int[Tensor, " a"]) -> Float[Tensor, " metric"]:
        parts = [row_scores(predictions(dataset.features, part), values).sum(dim=0) for part in rows.split(CHUNK)]
        return torch.stack(parts).sum(dim=0) / len(rows)

    return ProbeResult(
        dataset=dataset,
        setting=setting,
        train=scores(dataset.split.train) if train else None,
        validation=scores(dataset.split.validation),
        test=Predictions.concatenate(
            [predictions(dataset.test_features, part) for part in dataset.split.test.split(CHUNK)]
        ),
        curves=curves,
    )


def group_by_case(probe: str, results: Sequence[ProbeResult]) -> dict[CaseName, list[ProbeResult]]:
    """The results of one probe, all seeds of a case together."""
    groups: dict[CaseName, list[ProbeResult]] = {}
    for result in results:
        groups.setdefault(result.dataset.case(probe), []).append(result)
    return groups
