"""The nearest-neighbour probe: what lies close in r, without any fitting."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from gqn_probe.analysis.cases import Case
from gqn_probe.analysis.probes import Reading, read_parts
from gqn_probe.training.probe_fit import CHUNK, moments


@dataclass(frozen=True)
class Neighbours:
    """The vote of the nearest training rows, inputs standardised; Euclidean."""

    neighbours: Sequence[int]  # numbers of voters, of which validation rows choose one
    largest: int  # training rows at most, drawn by the case's seed: every row is compared with each

    def read(self, cases: Sequence[Case], values: Float[Tensor, " k"], device: str) -> list[Reading]:
        return [self._read(case, len(values)) for case in cases]

    def _read(self, case: Case, classes: int) -> Reading:
        mean, scale = moments(case.inputs, case.split.train)
        generator = torch.Generator().manual_seed(case.seed)
        known = case.split.train[torch.randperm(len(case.split.train), generator=generator)[: self.largest]]
        reference, labels = (case.inputs[known] - mean) / scale, case.labels[known]

        def votes(inputs: Float[Tensor, "n f"], voters: int) -> Float[Tensor, "n k"]:
            near = torch.cdist((inputs - mean) / scale, reference).topk(min(voters, len(known)), largest=False)
            cast = torch.nn.functional.one_hot(labels[near.indices], classes)
            return (cast.sum(dim=1) + 1 / classes).log()  # a share of one more vote keeps every class possible

        held = case.split.validation

        def right(voters: int) -> int:
            return sum(
                int((votes(case.inputs[part], voters).argmax(dim=1) == case.labels[part]).sum())
                for part in held.split(CHUNK)
            )

        voters = max(self.neighbours, key=right)
        return read_parts(case, partial(votes, voters=voters), voters, None, train=False)
