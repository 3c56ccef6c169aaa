"""The nearest-neighbour probe: what lies close in r, without any fitting."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import Case
from gqn_probe.analysis.probes.linear import Reading, read_parts
from gqn_probe.analysis.probes.probe_fit import CHUNK, moments

BLOCK = 1024  # rows compared at a time


@dataclass(frozen=True)
class Neighbours:
    """The vote of the nearest training rows, inputs standardised; Euclidean."""

    neighbours: Sequence[int]  # numbers of voters, of which validation rows choose one
    largest: int  # training rows at most, drawn by the case's seed: every row is compared with each

    def read(self, cases: Sequence[Case], values: Float[Tensor, " k"], device: str) -> list[Reading]:
        return [self._read(case, values) for case in cases]

    def _read(self, case: Case, values: Float[Tensor, " k"]) -> Reading:
        mean, scale = moments(case.inputs, case.split.train)
        generator = torch.Generator().manual_seed(case.seed)
        known = case.split.train[torch.randperm(len(case.split.train), generator=generator)[: self.largest]]
        reference, labels = (case.inputs[known] - mean) / scale, case.labels[known]

        def nearest(inputs: Float[Tensor, "n f"]) -> Int[Tensor, "n v"]:
            """The labels of the nearest rows, nearest first."""
            standard = ((inputs - mean) / scale).split(BLOCK)
            near = [torch.cdist(part, reference).topk(most, largest=False).indices for part in standard]
            return labels[torch.cat(near)]

        def logits(inputs: Float[Tensor, "n f"], voters: int) -> Float[Tensor, "n k"]:
            return _votes(nearest(inputs)[:, :voters], len(values))

        most = min(max(self.neighbours), len(known))
        held = case.split.validation
        found = torch.cat([nearest(case.inputs[part]) for part in held.split(CHUNK)])
        right = [(_votes(found[:, :n], len(values)).argmax(dim=1) == case.labels[held]).sum() for n in self.neighbours]
        voters = self.neighbours[int(torch.stack(right).argmax())]
        return read_parts(case, partial(logits, voters=voters), values, voters, None, train=False)


def _votes(labels: Int[Tensor, "n v"], classes: int) -> Float[Tensor, "n k"]:
    """Log votes a class, each with a share of one vote more so that none is impossible."""
    cast = torch.zeros(len(labels), classes).scatter_add_(1, labels, torch.ones(labels.shape))
    return (cast + 1 / classes).log()
