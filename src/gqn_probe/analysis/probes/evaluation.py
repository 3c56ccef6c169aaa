"""The protocol of every probe: fit on training rows, select on validation rows, predict test rows once."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import CaseName, ProbeDataset
from gqn_probe.analysis.probes.predictions import Predictions, row_scores

CHUNK = 8192  # rows predicted at a time

Logits = Callable[[Float[Tensor, "n f"]], Float[Tensor, "n k"]]


class Curves(NamedTuple):
    """Learning curves; training values are means over the epoch while weights change, as Keras reports them."""

    train_loss: Float[Tensor, " epoch *t"]  # nats
    train_accuracy: Float[Tensor, " epoch *t"]
    validation_loss: Float[Tensor, " epoch *t"]
    validation_accuracy: Float[Tensor, " epoch *t"]


class ProbeResult(NamedTuple):
    """Scores and test predictions of a probe fitted to one data set."""

    dataset: ProbeDataset
    setting: float  # the hyperparameter selected on validation rows
    train: Float[Tensor, " metric"] | None  # ``ROW_METRICS``; None for nearest neighbours, where each is its own
    validation: Float[Tensor, " metric"]
    test: Predictions
    curves: Curves | None  # of the selected hyperparameter, one value an epoch


@runtime_checkable
class Probe(Protocol):
    """Classifier that is fitted and evaluated on data sets; ``values`` are the counts that the classes stand for."""

    def evaluate(
        self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str
    ) -> list[ProbeResult]: ...


def select_strength(accuracy: Float[Tensor, " m"], loss: Float[Tensor, " m"]) -> int:
    """Return the index of the highest validation accuracy, ties broken by the lowest loss.

    Loss alone is dominated by a few outliers that a confident probe misses by many nats, and would select so strong a
    penalty that common rows are misclassified, too.
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
    """Score a fitted probe on every part of the split, in chunks; keep the predictions of test rows."""

    def predictions(features: Float[Tensor, "n f"], rows: Int[Tensor, " a"]) -> Predictions:
        found = logits(features[rows])
        return Predictions.from_logits(dataset.groups[rows], dataset.labels[rows], found, dataset.encoder)

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
    """Group the results of one probe by case: all seeds of a case together."""
    groups: dict[CaseName, list[ProbeResult]] = {}
    for result in results:
        groups.setdefault(result.dataset.case(probe), []).append(result)
    return groups
