"""Fitting probes to cases and reading the test rows once, with the L2 strength that validation rows chose."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.metrics import Readings
from gqn_probe.analysis.rows import Case
from gqn_probe.training.probe_fit import CHUNK, FittedProbes, ProbeSettings, fit_probes
from gqn_probe.training.probe_module import Curves


class Reading(NamedTuple):
    """One probe of one case, with what it read."""

    case: Case
    probe: str
    setting: float  # the L2 strength, or number of neighbours, that was chosen
    train: Readings
    validation: Readings
    test: Readings
    curves: Curves | None  # of the chosen strength, one value an epoch


def read_softmax(
    cases: Sequence[Case], name: str, settings: ProbeSettings, *, classes: int, counts: int, device: str
) -> list[Reading]:
    """All cases with all strengths in one fit; ``counts`` rows belong to an object."""
    fitted = fit_probes([case.problem() for case in cases], settings, classes=classes, device=device)
    return [_read(fitted, i, case, name, settings, counts) for i, case in enumerate(cases)]


def _read(fitted: FittedProbes, i: int, case: Case, name: str, settings: ProbeSettings, counts: int) -> Reading:
    chosen = int(fitted.curves.validation_loss[-1, i].argmin())

    def readings(inputs: Tensor, rows: Int[Tensor, " n"]) -> Readings:
        logits = torch.cat([fitted.logits(i, chosen, inputs[part]) for part in rows.split(CHUNK)])
        return Readings.of(rows // counts, case.labels[rows], logits)

    return Reading(
        case=case,
        probe=name,
        setting=settings.l2[chosen],
        train=readings(case.inputs, case.split.train),
        validation=readings(case.inputs, case.split.validation),
        test=readings(case.tested, case.split.test),
        curves=Curves(*(column[:, i, chosen] for column in fitted.curves)),
    )


def labels_as_logits(predicted: Int[Tensor, " n"], classes: int) -> Float[Tensor, "n k"]:
    """Certain read-outs, for probes that give no probabilities."""
    return torch.nn.functional.one_hot(predicted, classes).float() * 100
