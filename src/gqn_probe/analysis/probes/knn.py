"""k-nearest neighbours, and nearest class mean by cosine."""

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
    """k-nearest-neighbour classifier: Euclidean distance on standardised rows."""

    neighbours: Sequence[int]  # candidates for k, selected on validation rows
    largest: int  # maximal number of training rows, drawn at random: the cost is quadratic

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [self._evaluate(dataset, values) for dataset in datasets]

    def _evaluate(self, dataset: ProbeDataset, values: Float[Tensor, " k"]) -> ProbeResult:
        dataset = to_principal_axes(dataset)  # a rotation preserves distances
        generator = torch.Generator().manual_seed(dataset.seed)
        known = dataset.split.train[torch.randperm(len(dataset.split.train), generator=generator)[: self.largest]]
        reference, labels = dataset.features[known], dataset.labels[known]

        def nearest(features: Float[Tensor, "n f"]) -> Int[Tensor, "n neighbour"]:
            """Return the labels of the nearest training rows, nearest first."""
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
    """Nearest-centroid classifier by cosine, on rows normalised to length 1; it has no hyperparameter to select."""

    sharpness: float  # logits are cosines times this; nats

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
    """Return the logarithm of votes a class, with additive smoothing of one vote in all."""
    cast = torch.zeros(len(labels), classes).scatter_add_(1, labels, torch.ones(labels.shape))
    return (cast + 1 / classes).log()
