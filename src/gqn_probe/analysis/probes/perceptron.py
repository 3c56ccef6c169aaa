"""Multilayer perceptron with one hidden layer; all data sets and strengths are trained side by side by Adam."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor

from gqn_probe.analysis.probes.dataset import ProbeDataset, to_principal_axes
from gqn_probe.analysis.probes.evaluation import Curves, ProbeResult, evaluate_splits, select_strength
from gqn_probe.analysis.probes.probe_fit import ProbeSettings, fit_probes
from gqn_probe.analysis.questions.splits import approximate_train_rows

LEAST_STEPS = 10  # training steps an epoch, at least
LARGEST_STEP = 1 << 26  # input values of a training step, at most


@dataclass(frozen=True)
class Perceptron(ProbeSettings):
    """Perceptron whose L2 strength is selected on validation rows; ``hidden=None`` is a linear softmax."""

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [
            each for some in self._memory_bounded_batches(datasets) for each in self._evaluate(some, values, device)
        ]

    def rows_an_epoch(self, rows: int) -> int:
        """Return the number of training rows an epoch draws; small data sets are passed several times."""
        return max(approximate_train_rows(rows), LEAST_STEPS * self.batch_size)

    def _memory_bounded_batches(self, datasets: Sequence[ProbeDataset]) -> Iterator[list[ProbeDataset]]:
        """Yield batches of data sets that are trained together: all, unless rows or steps exceed memory."""
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
