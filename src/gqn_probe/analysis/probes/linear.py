"""Probes: how classes are read out of rows. Each is a frozen dataclass of settings with a ``read`` method.

Whatever can be chosen (L2 strength, number of neighbours) is chosen on validation rows; test rows are read once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import Case
from gqn_probe.analysis.probes.predictions import Readings, row_scores
from gqn_probe.analysis.probes.probe_fit import CHUNK, ProbeSettings, fit_probes
from gqn_probe.analysis.probes.probe_module import Curves
from gqn_probe.analysis.questions.splits import trained_rows

LEAST_STEPS = 10  # of training, an epoch
LARGEST_STEP = 1 << 26  # numbers read in a step of training

Logits = Callable[[Float[Tensor, "n f"]], Float[Tensor, "n k"]]


class Reading(NamedTuple):
    """One probe of one case, with what it read."""

    case: Case
    setting: float  # what validation rows chose
    train: Float[Tensor, " m"] | None  # its ``ROW_METRICS``; None where training rows would find themselves
    validation: Float[Tensor, " m"]
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
        return [each for some in self._that_fit(cases) for each in self._read(some, values, device)]

    def rows_an_epoch(self, rows: int) -> int:
        """How many training rows an epoch reads of cases with so many rows; of few rows several passes."""
        return max(trained_rows(rows), LEAST_STEPS * self.batch_size)

    def _that_fit(self, cases: Sequence[Case]) -> Iterator[list[Case]]:
        """All cases together, unless the rows of one step would not fit into memory."""
        some: list[Case] = []
        for case in cases:
            if some and self.batch_size * sum(each.inputs.shape[1] for each in [*some, case]) > LARGEST_STEP:
                yield some
                some = []
            some.append(case)
        yield some

    def _read(self, cases: Sequence[Case], values: Float[Tensor, " k"], device: str) -> list[Reading]:
        rows = self.rows_an_epoch(len(cases[0].labels))
        fitted = fit_probes([case.problem() for case in cases], self, classes=len(values), rows=rows, device=device)
        readings = []
        for i, case in enumerate(cases):
            chosen = best(fitted.curves.validation_accuracy[-1, i], fitted.curves.validation_loss[-1, i])
            curves = Curves(*(column[:, i, chosen] for column in fitted.curves))
            readings.append(read_parts(case, partial(fitted.logits, i, chosen), values, self.l2[chosen], curves))
        return readings


def best(accuracy: Float[Tensor, " m"], loss: Float[Tensor, " m"]) -> int:
    """The most accurate, and of several the one of least loss.

    Loss alone would follow a few rows far out, which a sharp probe misses by many nats: it then prefers one so blunt
    that it misses common rows, too.
    """
    return int(loss.masked_fill(accuracy < accuracy.max(), torch.inf).argmin())


def read_parts(
    case: Case,
    logits: Logits,
    values: Float[Tensor, " k"],
    setting: float,
    curves: Curves | None,
    *,
    train: bool = True,
) -> Reading:
    """Read every part of a case in chunks of rows; of all but the test rows, scores are enough."""

    def readings(inputs: Float[Tensor, "n f"], rows: Int[Tensor, " r"]) -> Readings:
        return Readings.of(case.objects[rows], case.labels[rows], logits(inputs[rows]))

    def scores(rows: Int[Tensor, " r"]) -> Float[Tensor, " m"]:
        parts = [row_scores(readings(case.inputs, part), values).sum(dim=0) for part in rows.split(CHUNK)]
        return torch.stack(parts).sum(dim=0) / len(rows)

    return Reading(
        case=case,
        setting=setting,
        train=scores(case.split.train) if train else None,
        validation=scores(case.split.validation),
        test=Readings.together([readings(case.tested, part) for part in case.split.test.split(CHUNK)]),
        curves=curves,
    )
