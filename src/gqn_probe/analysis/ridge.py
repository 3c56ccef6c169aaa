"""Ridge regression in closed form: of a count, read out as the nearest one, or of any values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.cases import Case
from gqn_probe.analysis.probes import Reading, read_parts
from gqn_probe.training.probe_fit import CHUNK, moments


@dataclass(frozen=True)
class Ridge:
    """Regression of the value itself; the class is the one whose value is nearest.

    The order of classes is part of the model, so that it can be asked about values it was not trained on.
    """

    l2: Sequence[float]  # times the number of training rows, on standardised inputs

    def read(self, cases: Sequence[Case], values: Float[Tensor, " k"], device: str) -> list[Reading]:
        return [self._read(case, values) for case in cases]

    def _read(self, case: Case, values: Float[Tensor, " k"]) -> Reading:
        fit = fit_ridge(case.inputs, values[case.labels][:, None], case.split.train, case.split.validation, self.l2)

        def logits(inputs: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
            return -0.5 * (fit.predict(inputs) - values) ** 2 / fit.spread  # of a Gaussian about the prediction

        return read_parts(case, logits, values, fit.strength, None)


class RidgeFit(NamedTuple):
    """A regression whose strength was chosen on validation rows."""

    mean: Float[Tensor, " f"]
    scale: Float[Tensor, " f"]
    weights: Float[Tensor, "f t"]
    offset: Float[Tensor, " t"]
    strength: float
    spread: float  # mean squared error on validation rows

    def predict(self, inputs: Float[Tensor, "n f"]) -> Float[Tensor, "n t"]:
        return ((inputs - self.mean) / self.scale) @ self.weights + self.offset


def fit_ridge(
    inputs: Float[Tensor, "n f"],
    values: Float[Tensor, "n t"],
    train: Int[Tensor, " a"],
    validation: Int[Tensor, " e"],
    strengths: Sequence[float],
) -> RidgeFit:
    """All strengths from one eigendecomposition of the training rows, which are streamed."""
    mean, scale = moments(inputs, train)
    offset = values[train].double().mean(dim=0)
    gram = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    moment = torch.zeros(len(mean), values.shape[1], dtype=torch.float64)
    for part in train.split(CHUNK):
        standard = ((inputs[part] - mean) / scale).double()
        gram += standard.T @ standard
        moment += standard.T @ (values[part] - offset)
    variances, axes = torch.linalg.eigh(gram)
    fits = []
    for strength in strengths:
        damped = variances.clamp(min=0) + max(strength, 1e-12) * len(train)
        weights = (axes @ ((axes.T @ moment) / rearrange(damped, "f -> f 1"))).float()
        fit = RidgeFit(mean, scale, weights, offset.float(), strength, 0.0)
        errors = [(fit.predict(inputs[part]) - values[part]).square().sum() for part in validation.split(CHUNK)]
        spread = float(torch.stack(errors).sum()) / values[validation].numel()
        fits.append(fit._replace(spread=max(spread, 1e-6)))
    return min(fits, key=lambda fit: fit.spread)
