"""Probes: how classes are read out of rows. Each is a frozen dataclass of settings with a ``read`` method.

Whatever can be chosen (L2 strength, number of neighbours) is chosen on validation rows; test rows are read once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.cases import Case
from gqn_probe.analysis.metrics import Readings
from gqn_probe.training.probe_fit import CHUNK, ProbeSettings, fit_probes
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
