"""Probes: how classes are read out of rows. Each is a frozen dataclass of settings with a ``read`` method.

Whatever can be chosen (L2 strength, number of neighbours) is chosen on validation rows; test rows are read once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.cases import Case
from gqn_probe.analysis.metrics import Readings
from gqn_probe.training.probe_fit import CHUNK, ProbeSettings, fit_probes, moments
from gqn_probe.training.probe_module import Curves

Logits = Callable[[Float[Tensor, "n f"]], Float[Tensor, "n k"]]


class Reading(NamedTuple):
    """One probe of one case, with what it read."""

    case: Case
    setting: float  # what validation rows chose
    train: Readings | None  # None where training rows would find themselves
    validation: Readings
    test: Readings
    curves: Curves | None  # of the chosen setting, one value an epoch


@runtime_checkable
class Probe(Protocol):
    """Reads classes from cases; ``values`` are the numbers that the classes stand for, such as counts."""

    def read(self, cases: Sequence[Case], values: Float[Tensor, " k"], device: str) -> list[Reading]: ...


@dataclass(frozen=True)
class Softmax(ProbeSettings):
    """Multinomial logistic regression, or with ``hidden`` a perceptron: all cases and strengths in one fit."""

    def read(self, cases: Sequence[Case], values: Float[Tensor, " k"], device: str) -> list[Reading]:
        fitted = fit_probes([case.problem() for case in cases], self, classes=len(values), device=device)
        readings = []
        for i, case in enumerate(cases):
            chosen = int(fitted.curves.validation_loss[-1, i].argmin())
            curves = Curves(*(column[:, i, chosen] for column in fitted.curves))
            readings.append(read_parts(case, partial(fitted.logits, i, chosen), self.l2[chosen], curves))
        return readings


@dataclass(frozen=True)
class Ridge:
    """Ridge regression of the value itself in closed form; the class is the one whose value is nearest.

    The order of classes is part of the model, so that it can be asked about values it was not trained on.
    """

    l2: Sequence[float]  # times the number of training rows, on standardised inputs

    def read(self, cases: Sequence[Case], values: Float[Tensor, " k"], device: str) -> list[Reading]:
        return [self._read(case, values) for case in cases]

    def _read(self, case: Case, values: Float[Tensor, " k"]) -> Reading:
        mean, scale = moments(case.inputs, case.split.train)
        weights, offset = ridge_weights(case, values, mean, scale, self.l2)

        def predict(inputs: Float[Tensor, "n f"], strength: int) -> Float[Tensor, " n"]:
            return ((inputs - mean) / scale) @ weights[strength] + offset

        held = case.split.validation
        target = values[case.labels[held]]
        errors = [
            torch.cat([predict(case.inputs[part], m) for part in held.split(CHUNK)]).sub(target).square().mean()
            for m in range(len(self.l2))
        ]
        chosen = int(torch.stack(errors).argmin())
        spread = errors[chosen].clamp(min=1e-6)  # the variance that makes distances probabilities

        def logits(inputs: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
            return -0.5 * (predict(inputs, chosen)[:, None] - values) ** 2 / spread

        return read_parts(case, logits, self.l2[chosen], None)


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


def read_parts(case: Case, logits: Logits, setting: float, curves: Curves | None, *, train: bool = True) -> Reading:
    """Read every part of a case in chunks of rows."""

    def readings(inputs: Float[Tensor, "n f"], rows: Int[Tensor, " r"]) -> Readings:
        read = torch.cat([logits(inputs[part]) for part in rows.split(CHUNK)])
        return Readings.of(case.objects[rows], case.labels[rows], read)

    return Reading(
        case=case,
        setting=setting,
        train=readings(case.inputs, case.split.train) if train else None,
        validation=readings(case.inputs, case.split.validation),
        test=readings(case.tested, case.split.test),
        curves=curves,
    )


def ridge_weights(
    case: Case,
    values: Float[Tensor, "k"],
    mean: Float[Tensor, " f"],
    scale: Float[Tensor, " f"],
    strengths: Sequence[float],
) -> tuple[Float[Tensor, "m f"], float]:
    """The weights of every strength from one eigendecomposition, and the offset, for standardised rows."""
    rows = case.split.train
    target = values[case.labels[rows]].double()
    offset = float(target.mean())
    gram = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    moment = torch.zeros(len(mean), dtype=torch.float64)
    for part, wanted in zip(rows.split(CHUNK), target.split(CHUNK), strict=True):
        standard = ((case.inputs[part] - mean) / scale).double()
        gram += standard.T @ standard
        moment += standard.T @ (wanted - offset)
    variances, axes = torch.linalg.eigh(gram)
    damped = variances.clamp(min=0) + len(rows) * rearrange(torch.tensor(strengths).double(), "m -> m 1")
    return ((moment @ axes) / damped @ axes.T).float(), offset
