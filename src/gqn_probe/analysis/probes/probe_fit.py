"""Training of a grid of softmax probes (data sets x strengths) in one Lightning run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytorch_lightning as lightning
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import ProbeDataset
from gqn_probe.analysis.probes.evaluation import Curves
from gqn_probe.analysis.probes.probe_module import IGNORED, ProbeModule, ProbeStack, StackBatch
from gqn_probe.progress import progress


@dataclass(frozen=True)
class ProbeSettings:
    """Hyperparameters of softmax probes trained by Adam."""

    epochs: int
    batch_size: int
    learning_rate: float
    l2: Sequence[float]  # candidate strengths, selected on validation rows
    hidden: int | None = None  # hidden ReLU units; None is linear
    standardize: bool = True  # standardise rows and rotate them to the principal axes of training rows
    final_rate: float = 0.0  # the learning rate decays linearly to this share of itself
    epsilon: float = 1e-8  # Adam's

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of a probe must be above 0, got {getattr(self, name)}")
        if not self.l2 or min(self.l2) < 0:
            raise ValueError(f"l2 of a probe needs one or more strengths of at least 0, got {list(self.l2)}")


@dataclass(frozen=True)
class FittedProbes:
    """Trained probes and their learning curves, in the order of their data sets."""

    module: ProbeModule
    places: tuple[tuple[int, int], ...]  # stack and row in it of each data set
    curves: Curves  # in the order of the datasets

    def logits(self, dataset: int, probe: int, inputs: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Return the logits of the ``probe``-th strength of a data set."""
        place, row = self.places[dataset]
        return self.module.stack(place).logits(row, probe, inputs)


def fit_probes(
    datasets: Sequence[ProbeDataset],
    settings: ProbeSettings,
    *,
    classes: int,
    rows: int,
    l2: Float[Tensor, "t m"] | None = None,
    device: str = "cpu",
) -> FittedProbes:
    """Train a probe for every data set and strength at once.

    Args:
        l2: strengths of each data set; None is ``settings.l2`` for all.
        rows: training rows of each data set an epoch; smaller data sets begin another pass. An argument, so that the
            training of one data set does not depend on the sizes of the others.
    """
    if l2 is None:
        l2 = torch.tensor(settings.l2).expand(len(datasets), -1)
    groups = _by_width(datasets)
    stacks = [_stack([datasets[i] for i in group], settings, classes=classes, l2=l2[list(group)]) for group in groups]
    grouped = [[datasets[i] for i in group] for group in groups]
    batches = TrainingBatches(grouped, settings.batch_size, rows)
    module = ProbeModule(
        stacks,
        learning_rate=settings.learning_rate,
        final_rate=settings.final_rate,
        epsilon=settings.epsilon,
        steps=settings.epochs * len(batches),
    )
    with progress(f"fitting {l2.numel()} probes", settings.epochs, "epochs") as advance:
        trainer = lightning.Trainer(
            accelerator="cpu" if device == "cpu" else "gpu",
            devices=1 if device == "cpu" else [torch.device(device).index or 0],
            max_epochs=settings.epochs,
            logger=False,
            callbacks=[Epochs(advance)],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, batches, ValidationBatches(grouped, 2 * settings.batch_size))
    order = torch.tensor([i for group in groups for i in group]).argsort()
    curves = Curves(*(column[:, order] for column in module.curves()))
    places = {i: (stack, row) for stack, group in enumerate(groups) for row, i in enumerate(group)}
    return FittedProbes(module.cpu().eval(), tuple(places[i] for i in range(len(datasets))), curves)


def _by_width(datasets: Sequence[ProbeDataset]) -> list[tuple[int, ...]]:
    widths = [dataset.features.shape[1] for dataset in datasets]
    return [tuple(i for i, other in enumerate(widths) if other == width) for width in dict.fromkeys(widths)]


def _stack(
    datasets: list[ProbeDataset], settings: ProbeSettings, *, classes: int, l2: Float[Tensor, "t m"]
) -> ProbeStack:
    width, seeds = datasets[0].features.shape[1], [dataset.seed for dataset in datasets]
    return ProbeStack(width=width, classes=classes, hidden=settings.hidden, l2=l2, seeds=seeds)


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
