"""Perceptron with one hidden layer: all data sets and L2 strengths are trained side by side, in one Lightning run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pytorch_lightning as lightning
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import ProbeDataset, to_principal_axes
from gqn_probe.analysis.probes.evaluation import Curves, ProbeResult, evaluate_splits, select_strength
from gqn_probe.analysis.probes.perceptron_module import IGNORED, PerceptronModule, PerceptronStack, StackBatch
from gqn_probe.analysis.questions.splits import approximate_train_rows
from gqn_probe.progress import progress

LEAST_STEPS = 10  # training steps an epoch, at least
LARGEST_STEP = 1 << 26  # input values of a training step, at most


@dataclass(frozen=True)
class FittedPerceptrons:
    """Trained perceptrons and their learning curves, in the order of their data sets."""

    stacks: tuple[PerceptronStack, ...]  # of each data set
    rows: tuple[int, ...]  # of each data set in its stack
    curves: Curves

    def logits(self, dataset: int, strength: int, inputs: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Return the logits of the ``strength``-th strength of a data set."""
        return self.stacks[dataset].logits(self.rows[dataset], strength, inputs)


@dataclass(frozen=True)
class Perceptron:
    """Perceptron with one hidden layer, trained by Adam."""

    epochs: int
    batch_size: int
    learning_rate: float
    l2: Sequence[float]  # candidate strengths, selected on validation rows
    hidden: int  # ReLU units
    standardize: bool = True  # standardise rows and rotate them to the principal axes of training rows
    final_rate: float = 0.0  # the learning rate decays linearly to this share of itself
    epsilon: float = 1e-8  # Adam's

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "hidden"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of a probe must be above 0, got {getattr(self, name)}")
        if not self.l2 or min(self.l2) < 0:
            raise ValueError(f"l2 of a probe needs one or more strengths of at least 0, got {list(self.l2)}")

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [
            each for some in self._memory_bounded_batches(datasets) for each in self._evaluate(some, values, device)
        ]

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
        # small data sets are passed several times an epoch
        rows = max(approximate_train_rows(len(datasets[0].labels)), LEAST_STEPS * self.batch_size)
        fitted = self.fit(datasets, classes=len(values), rows=rows, device=device)
        results = []
        for i, dataset in enumerate(datasets):
            chosen = select_strength(fitted.curves.validation_accuracy[-1, i], fitted.curves.validation_loss[-1, i])
            curves = Curves(*(column[:, i, chosen] for column in fitted.curves))
            results.append(evaluate_splits(dataset, partial(fitted.logits, i, chosen), values, self.l2[chosen], curves))
        return results

    def fit(
        self, datasets: Sequence[ProbeDataset], *, classes: int, rows: int, device: str = "cpu"
    ) -> FittedPerceptrons:
        """Train a perceptron for every data set and strength at once.

        Args:
            rows: training rows of each data set an epoch; smaller data sets begin another pass. An argument, so that
                the training of one data set does not depend on the sizes of the others.
        """
        widths = [dataset.features.shape[1] for dataset in datasets]
        groups = [[i for i, other in enumerate(widths) if other == width] for width in dict.fromkeys(widths)]
        grouped = [[datasets[i] for i in group] for group in groups]
        l2 = torch.tensor(self.l2)
        stacks = [
            PerceptronStack(
                width=some[0].features.shape[1],
                hidden=self.hidden,
                classes=classes,
                l2=l2,
                seeds=[dataset.seed for dataset in some],
            )
            for some in grouped
        ]
        batches = TrainingBatches(grouped, self.batch_size, rows)
        module = PerceptronModule(
            stacks,
            learning_rate=self.learning_rate,
            final_rate=self.final_rate,
            epsilon=self.epsilon,
            steps=self.epochs * len(batches),
        )
        with progress(f"fitting {len(datasets) * len(l2)} probes", self.epochs, "epochs") as advance:
            trainer = lightning.Trainer(
                accelerator="cpu" if device == "cpu" else "gpu",
                devices=1 if device == "cpu" else [torch.device(device).index or 0],
                max_epochs=self.epochs,
                logger=False,
                callbacks=[Epochs(advance)],
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
            )
            trainer.fit(module, batches, ValidationBatches(grouped, 2 * self.batch_size))
        module.cpu().eval()
        places = {i: (stack, row) for stack, group in zip(stacks, groups, strict=True) for row, i in enumerate(group)}
        order = torch.tensor([i for group in groups for i in group]).argsort()
        stacks_of, rows_of = zip(*(places[i] for i in range(len(datasets))), strict=True)
        return FittedPerceptrons(stacks_of, rows_of, Curves(*(column[:, order] for column in module.curves())))


class Epochs(lightning.Callback):
    """Advances a progress bar at the end of each epoch."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self.advance = advance

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.advance(1)


class RowStream:
    """Endless passes over a data set's training rows, reshuffled each time by its own generator."""

    def __init__(self, dataset: ProbeDataset) -> None:
        self.rows = dataset.split.train
        self.generator = torch.Generator().manual_seed(dataset.seed)
        self.waiting = self.rows[:0]

    def take(self, size: int) -> Int[Tensor, " n"]:
        """Return the next ``size`` row indices."""
        while len(self.waiting) < size:
            order = torch.randperm(len(self.rows), generator=self.generator)
            self.waiting = torch.cat([self.waiting, self.rows[order]])
        taken, self.waiting = self.waiting[:size], self.waiting[size:]
        return taken


class TrainingBatches:
    """Batches of an epoch of ``rows`` training rows of each data set; the last batch may be shorter."""

    def __init__(self, groups: list[list[ProbeDataset]], batch_size: int, rows: int) -> None:
        self.groups = groups
        self.streams = [[RowStream(dataset) for dataset in group] for group in groups]
        self.sizes = [min(batch_size, rows - start) for start in range(0, rows, batch_size)]

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[list[StackBatch]]:
        for size in self.sizes:
            yield [
                _gather(group, [stream.take(size) for stream in streams], size)
                for group, streams in zip(self.groups, self.streams, strict=True)
            ]


class ValidationBatches:
    """Batches of all validation rows; shorter data sets are padded with ignored rows."""

    def __init__(self, groups: list[list[ProbeDataset]], batch_size: int) -> None:
        self.groups = groups
        rows = max(len(dataset.split.validation) for group in groups for dataset in group)
        self.spans = [(start, min(start + batch_size, rows)) for start in range(0, rows, batch_size)]

    def __len__(self) -> int:
        return len(self.spans)

    def __iter__(self) -> Iterator[list[StackBatch]]:
        for start, stop in self.spans:
            yield [
                _gather(group, [dataset.split.validation[start:stop] for dataset in group], stop - start)
                for group in self.groups
            ]


def _gather(group: list[ProbeDataset], rows: list[Int[Tensor, " _"]], size: int) -> StackBatch:
    inputs = torch.zeros(len(group), size, group[0].features.shape[1])
    labels = torch.full((len(group), size), IGNORED)
    for i, (dataset, chosen) in enumerate(zip(group, rows, strict=True)):
        torch.index_select(dataset.features, 0, chosen, out=inputs[i, : len(chosen)])
        torch.index_select(dataset.labels, 0, chosen, out=labels[i, : len(chosen)])
    return StackBatch(inputs, labels)
