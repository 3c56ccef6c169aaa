"""The perceptron: a softmax classifier with hidden units, all datasets and strengths trained side by side by Adam.

With ``hidden`` null it is linear, and trained as the original study trained.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor

from gqn_probe.analysis.probes.dataset import ProbeDataset, to_principal_axes
from gqn_probe.analysis.probes.evaluation import Curves, ProbeResult, evaluate_splits, select_strength
from gqn_probe.analysis.probes.probe_fit import ProbeSettings, fit_probes
from gqn_probe.analysis.questions.splits import approximate_train_rows

LEAST_STEPS = 10  # of training, an epoch
LARGEST_STEP = 1 << 26  # numbers read in a step of training


@dataclass(frozen=True)
class Perceptron(ProbeSettings):
    """How it is trained; validation rows choose the strength."""

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [
            each for some in self._memory_bounded_batches(datasets) for each in self._evaluate(some, values, device)
        ]

    def rows_an_epoch(self, rows: int) -> int:
        """How many training rows an epoch reads of datasets with so many rows; of few rows several passes."""
        return max(approximate_train_rows(rows), LEAST_STEPS * self.batch_size)

    def _memory_bounded_batches(self, datasets: Sequence[ProbeDataset]) -> Iterator[list[ProbeDataset]]:
        """All datasets together, unless all rows, or those of one step, would not fit into memory."""
        some: list[ProbeDataset] = []
        for dataset in datasets:
            wide = self.batch_size * sum(each.features.shape[1] for each in [*some, dataset]) > LARGEST_STEP
            if some and (wide or dataset.scratch is not None):
                yield some
                some = []
            some.append(dataset)
        yield some

    def _evaluate(
        self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str
    ) -> list[ProbeResult]:
        if self.standardize:
            datasets = [to_principal_axes(dataset) for dataset in datasets]
        rows = self.rows_an_epoch(len(datasets[0].labels))
        fitted = fit_probes(datasets, self, classes=len(values), rows=rows, device=device)
        results = []
        for i, dataset in enumerate(datasets):
            chosen = select_strength(fitted.curves.validation_accuracy[-1, i], fitted.curves.validation_loss[-1, i])
            curves = Curves(*(column[:, i, chosen] for column in fitted.curves))
            results.append(evaluate_splits(dataset, partial(fitted.logits, i, chosen), values, self.l2[chosen], curves))
        return results
