"""Probes by nearness: the vote of the nearest rows, and the class whose mean direction is nearest."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from gqn_probe.analysis.probes.dataset import ProbeDataset, to_principal_axes
from gqn_probe.analysis.probes.evaluation import CHUNK, ProbeResult, evaluate_splits

BLOCK = 1024  # rows compared at a time


@dataclass(frozen=True)
class NearestNeighbours:
    """The vote of the nearest training rows; Euclidean, on standardised rows."""

    neighbours: Sequence[int]  # numbers of voters, of which validation rows choose one
    largest: int  # training rows at most, drawn by the dataset's seed: every row is compared with each

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [self._evaluate(dataset, values) for dataset in datasets]

    def _evaluate(self, dataset: ProbeDataset, values: Float[Tensor, " k"]) -> ProbeResult:
        dataset = to_principal_axes(dataset)  # a rotation, which keeps distances
        generator = torch.Generator().manual_seed(dataset.seed)
        known = dataset.split.train[torch.randperm(len(dataset.split.train), generator=generator)[: self.largest]]
        reference, labels = dataset.features[known], dataset.labels[known]

        def nearest(features: Float[Tensor, "n f"]) -> Int[Tensor, "n neighbour"]:
            """The labels of the nearest rows, nearest first."""
            parts = features.split(BLOCK)
            near = [torch.cdist(part, reference).topk(most, largest=False).indices for part in parts]
            return labels[torch.cat(near)]

        def logits(features: Float[Tensor, "n f"], voters: int) -> Float[Tensor, "n k"]:
            return _votes(nearest(features)[:, :voters], len(values))

        most = min(max(self.neighbours), len(known))
        held = dataset.split.validation
        found = torch.cat([nearest(dataset.features[part]) for part in held.split(CHUNK)])
        truth = dataset.labels[held]
        right = [(_votes(found[:, :n], len(values)).argmax(dim=1) == truth).sum() for n in self.neighbours]
        voters = self.neighbours[int(torch.stack(right).argmax())]
        return evaluate_splits(dataset, partial(logits, voters=voters), values, voters, None, train=False)


@dataclass(frozen=True)
class NearestMean:
    """The class whose training rows, each of length 1, have the nearest mean direction; nothing is chosen."""

    sharpness: float  # nats a unit of cosine, for the probabilities

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [self._evaluate(dataset, values) for dataset in datasets]

    def _evaluate(self, dataset: ProbeDataset, values: Float[Tensor, " k"]) -> ProbeResult:
        sums = torch.zeros(len(values), dataset.features.shape[1])
        for part in dataset.split.train.split(CHUNK):
            sums.index_add_(0, dataset.labels[part], normalize(dataset.features[part], dim=1))
        directions = normalize(sums, dim=1)

        def logits(features: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
            return self.sharpness * normalize(features, dim=1) @ directions.T

        return evaluate_splits(dataset, logits, values, self.sharpness, None)


def _votes(labels: Int[Tensor, "n neighbour"], classes: int) -> Float[Tensor, "n k"]:
    """Log votes a class, each with a share of one vote more so that none is impossible."""
    cast = torch.zeros(len(labels), classes).scatter_add_(1, labels, torch.ones(labels.shape))
    return (cast + 1 / classes).log()
