"""Probes: how classes are read out of rows. Each is a frozen dataclass of settings with a ``read`` method.

Whatever can be chosen (L2 strength, number of neighbours) is chosen on validation rows; test rows are read once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import ProbeDataset
from gqn_probe.analysis.probes.predictions import Predictions, row_scores
from gqn_probe.analysis.probes.probe_fit import CHUNK, ProbeSettings, fit_probes
from gqn_probe.analysis.probes.probe_module import Curves
from gqn_probe.analysis.questions.splits import approximate_train_rows

LEAST_STEPS = 10  # of training, an epoch
LARGEST_STEP = 1 << 26  # numbers read in a step of training

Logits = Callable[[Float[Tensor, "n f"]], Float[Tensor, "n k"]]


class ProbeResult(NamedTuple):
    """One probe of one dataset, with what it read."""

    dataset: ProbeDataset
    setting: float  # what validation rows chose
    train: Float[Tensor, " m"] | None  # its ``ROW_METRICS``; None where training rows would find themselves
    validation: Float[Tensor, " m"]
    test: Predictions
    curves: Curves | None  # of the chosen setting, one value an epoch


@runtime_checkable
class Probe(Protocol):
    """Reads classes from datasets; ``values`` are the numbers that the classes stand for, such as counts."""

    def evaluate(
        self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str
    ) -> list[ProbeResult]: ...


@dataclass(frozen=True)
class Softmax(ProbeSettings):
    """Multinomial logistic regression, or with ``hidden`` a perceptron: all datasets and strengths in one fit."""

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [
            each for some in self._memory_bounded_batches(datasets) for each in self._evaluate(some, values, device)
        ]

    def rows_an_epoch(self, rows: int) -> int:
        """How many training rows an epoch reads of datasets with so many rows; of few rows several passes."""
        return max(approximate_train_rows(rows), LEAST_STEPS * self.batch_size)

    def _memory_bounded_batches(self, datasets: Sequence[ProbeDataset]) -> Iterator[list[ProbeDataset]]:
        """All datasets together, unless the rows of one step would not fit into memory."""
        some: list[ProbeDataset] = []
        for dataset in datasets:
            if some and self.batch_size * sum(each.features.shape[1] for each in [*some, dataset]) > LARGEST_STEP:
                yield some
                some = []
            some.append(dataset)
        yield some

    def _evaluate(
        self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str
    ) -> list[ProbeResult]:
        rows = self.rows_an_epoch(len(datasets[0].labels))
        fitted = fit_probes(datasets, self, classes=len(values), rows=rows, device=device)
        predictions = []
        for i, dataset in enumerate(datasets):
            chosen = best(fitted.curves.validation_accuracy[-1, i], fitted.curves.validation_loss[-1, i])
            curves = Curves(*(column[:, i, chosen] for column in fitted.curves))
            predictions.append(read_parts(dataset, partial(fitted.logits, i, chosen), values, self.l2[chosen], curves))
        return predictions


def best(accuracy: Float[Tensor, " m"], loss: Float[Tensor, " m"]) -> int:
    """The most accurate, and of several the one of least loss.

    Loss alone would follow a few rows far out, which a sharp probe misses by many nats: it then prefers one so blunt
    that it misses common rows, too.
    """
    return int(loss.masked_fill(accuracy < accuracy.max(), torch.inf).argmin())


def read_parts(
    dataset: ProbeDataset,
    logits: Logits,
    values: Float[Tensor, " k"],
    setting: float,
    curves: Curves | None,
    *,
    train: bool = True,
) -> ProbeResult:
    """Read every part of a dataset in chunks of rows; of all but the test rows, scores are enough."""

    def predictions(inputs: Float[Tensor, "n f"], rows: Int[Tensor, " r"]) -> Predictions:
        return Predictions.of(dataset.groups[rows], dataset.labels[rows], logits(inputs[rows]))

    def scores(rows: Int[Tensor, " r"]) -> Float[Tensor, " m"]:
        parts = [row_scores(predictions(dataset.features, part), values).sum(dim=0) for part in rows.split(CHUNK)]
        return torch.stack(parts).sum(dim=0) / len(rows)

    return ProbeResult(
        dataset=dataset,
        setting=setting,
        train=scores(dataset.split.train) if train else None,
        validation=scores(dataset.split.validation),
        test=Predictions.together(
            [predictions(dataset.test_features, part) for part in dataset.split.test.split(CHUNK)]
        ),
        curves=curves,
    )
