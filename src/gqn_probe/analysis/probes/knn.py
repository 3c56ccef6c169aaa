"""The nearest-neighbour probe: what lies close in r, without any fitting."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import ProbeDataset
from gqn_probe.analysis.probes.linear import ProbeResult, read_parts
from gqn_probe.analysis.probes.probe_fit import CHUNK, moments

BLOCK = 1024  # rows compared at a time


@dataclass(frozen=True)
class Neighbours:
    """The vote of the nearest training rows, inputs standardised; Euclidean."""

    neighbours: Sequence[int]  # numbers of voters, of which validation rows choose one
    largest: int  # training rows at most, drawn by the dataset's seed: every row is compared with each

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [self._evaluate(dataset, values) for dataset in datasets]

    def _evaluate(self, dataset: ProbeDataset, values: Float[Tensor, " k"]) -> ProbeResult:
        mean, scale = moments(dataset.features, dataset.split.train)
        generator = torch.Generator().manual_seed(dataset.seed)
        known = dataset.split.train[torch.randperm(len(dataset.split.train), generator=generator)[: self.largest]]
        reference, labels = (dataset.features[known] - mean) / scale, dataset.labels[known]

        def nearest(inputs: Float[Tensor, "n f"]) -> Int[Tensor, "n v"]:
            """The labels of the nearest rows, nearest first."""
            standard = ((inputs - mean) / scale).split(BLOCK)
            near = [torch.cdist(part, reference).topk(most, largest=False).indices for part in standard]
            return labels[torch.cat(near)]

        def logits(inputs: Float[Tensor, "n f"], voters: int) -> Float[Tensor, "n k"]:
            return _votes(nearest(inputs)[:, :voters], len(values))

        most = min(max(self.neighbours), len(known))
        held = dataset.split.validation
        found = torch.cat([nearest(dataset.features[part]) for part in held.split(CHUNK)])
        right = [
            (_votes(found[:, :n], len(values)).argmax(dim=1) == dataset.labels[held]).sum() for n in self.neighbours
        ]
        voters = self.neighbours[int(torch.stack(right).argmax())]
        return read_parts(dataset, partial(logits, voters=voters), values, voters, None, train=False)


def _votes(labels: Int[Tensor, "n v"], classes: int) -> Float[Tensor, "n k"]:
    """Log votes a class, each with a share of one vote more so that none is impossible."""
    cast = torch.zeros(len(labels), classes).scatter_add_(1, labels, torch.ones(labels.shape))
    return (cast + 1 / classes).log()
