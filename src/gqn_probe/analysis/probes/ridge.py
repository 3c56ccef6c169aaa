"""Ridge regression in closed form: of a count, read out as the nearest one, or of any values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import ProbeDataset
from gqn_probe.analysis.probes.linear import ProbeResult, read_parts
from gqn_probe.analysis.probes.probe_fit import CHUNK, moments


@dataclass(frozen=True)
class Ridge:
    """Regression of the value itself; the class is the one whose value is nearest.

    The order of classes is part of the model, so that it can be asked about values it was not trained on.
    """

    l2: Sequence[float]  # times the number of training rows, on standardised inputs

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [self._evaluate(dataset, values) for dataset in datasets]

    def _evaluate(self, dataset: ProbeDataset, values: Float[Tensor, " k"]) -> ProbeResult:
        fit = fit_ridge(
            dataset.features, values[dataset.labels][:, None], dataset.split.train, dataset.split.validation, self.l2
        )

        def logits(inputs: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
            return -0.5 * (fit.predict(inputs) - values) ** 2 / fit.spread  # of a Gaussian about the prediction

        return read_parts(dataset, logits, values, fit.strength, None)


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
    """All strengths from one eigendecomposition, of features or of rows, whichever are fewer."""
    mean, scale = moments(inputs, train)
    offset = values[train].double().mean(dim=0)
    few_rows = len(train) < len(mean)
    gram, moment = (_dual if few_rows else _primal)(inputs, values - offset, train, mean, scale)
    variances, axes = torch.linalg.eigh(gram)
    fits = []
    for strength in strengths:
        damped = variances.clamp(min=0) + max(strength, 1e-12) * len(train)
        weights = axes @ ((axes.T @ moment) / rearrange(damped, "f -> f 1"))
        if few_rows:  # what was found are the weights of rows
            parts = zip(train.split(CHUNK), weights.split(CHUNK), strict=True)
            weights = torch.stack([((inputs[rows] - mean) / scale).double().T @ w for rows, w in parts]).sum(dim=0)
        weights = weights.float()
        fit = RidgeFit(mean, scale, weights, offset.float(), strength, 0.0)
        errors = [(fit.predict(inputs[part]) - values[part]).square().sum() for part in validation.split(CHUNK)]
        spread = float(torch.stack(errors).sum()) / values[validation].numel()
        fits.append(fit._replace(spread=max(spread, 1e-6)))
    return min(fits, key=lambda fit: fit.spread)


def _primal(
    inputs: Float[Tensor, "n f"],
    wanted: Float[Tensor, "n t"],
    train: Int[Tensor, " a"],
    mean: Float[Tensor, " f"],
    scale: Float[Tensor, " f"],
) -> tuple[Float[Tensor, "f f"], Float[Tensor, "f t"]]:
    """Products of features with each other and with what is wanted, streamed over training rows."""
    gram = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    moment = torch.zeros(len(mean), wanted.shape[1], dtype=torch.float64)
    for part in train.split(CHUNK):
        standard = ((inputs[part] - mean) / scale).double()
        gram += standard.T @ standard
        moment += standard.T @ wanted[part].double()
    return gram, moment


def _dual(
    inputs: Float[Tensor, "n f"],
    wanted: Float[Tensor, "n t"],
    train: Int[Tensor, " a"],
    mean: Float[Tensor, " f"],
    scale: Float[Tensor, " f"],
) -> tuple[Float[Tensor, "a a"], Float[Tensor, "a t"]]:
    """Products of training rows with each other, streamed over features; and what is wanted of them."""
    gram = torch.zeros(len(train), len(train), dtype=torch.float64)
    for start in range(0, len(mean), CHUNK):
        part = slice(start, start + CHUNK)
        standard = ((inputs[:, part][train] - mean[part]) / scale[part]).double()
        gram += standard @ standard.T
    return gram, wanted[train].double()
