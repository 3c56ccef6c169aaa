"""The linear probe: multinomial logistic regression, fitted to its optimum without a learning rate.

Along the principal axes of the training rows the Hessian is bounded by half of each axis' mean square (Böhning 1992,
"Multinomial logistic regression algorithm"), so each weight has a step that never overshoots; Nesterov's momentum with
restarts (O'Donoghue & Candès 2015) does the rest. All L2 strengths take their steps side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from gqn_probe.analysis.probes.dataset import ProbeDataset, along_axes
from gqn_probe.analysis.probes.evaluation import Curves, ProbeResult, best, read_parts


@dataclass(frozen=True)
class Linear:
    """A linear softmax of standardised rows; half the squared length of the weights is penalised, biases are free."""

    epochs: int  # passes over all training rows, one step each
    l2: Sequence[float]  # strengths, of which validation rows choose one

    def __post_init__(self) -> None:
        if self.epochs <= 0:
            raise ValueError(f"epochs of a probe must be above 0, got {self.epochs}")
        if not self.l2 or min(self.l2) < 0:
            raise ValueError(f"l2 of a probe needs one or more strengths of at least 0, got {list(self.l2)}")

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [self._evaluate(along_axes(dataset), values, device) for dataset in datasets]

    def _evaluate(self, dataset: ProbeDataset, values: Float[Tensor, " k"], device: str) -> ProbeResult:
        fit = self.fit(dataset, len(values), device)
        chosen = best(fit.curves.validation_accuracy[-1], fit.curves.validation_loss[-1])
        curves = Curves(*(column[:, chosen] for column in fit.curves))
        return read_parts(dataset, partial(fit.logits, chosen), values, self.l2[chosen], curves)

    def fit(self, dataset: ProbeDataset, classes: int, device: str = "cpu", *, curves: bool = True) -> "LinearFit":
        """All strengths on the training rows of a dataset along its axes; without ``curves`` the last epoch's alone."""
        assert dataset.squares is not None, "a dataset along its axes"
        train, validation = (dataset.features[rows].to(device) for rows in dataset.split[:2])
        labels, held = (dataset.labels[rows].to(device) for rows in dataset.split[:2])
        strengths = torch.tensor(self.l2, device=device)
        steps = 1 / (0.5 * dataset.squares.to(device) + strengths[:, None, None].clamp(min=1e-12))  # m 1 d
        weights = torch.zeros(len(strengths), classes, train.shape[1], device=device)
        biases = torch.zeros(len(strengths), classes, device=device)
        ahead, ahead_biases, momentum = weights, biases, torch.ones(len(strengths), 1, 1, device=device)
        history: list[Tensor] = []
        for epoch in range(self.epochs):
            logits = _logits(train, ahead, ahead_biases)
            scores = _scores(logits, labels)
            errors = logits.softmax(dim=1)
            errors.sub_(functional.one_hot(labels, classes).T).div_(len(labels))
            slope = (errors.flatten(0, 1) @ train).view_as(weights) + strengths[:, None, None] * ahead
            after, after_biases = ahead - steps * slope, ahead_biases - 2 * errors.sum(dim=2)
            uphill = rearrange(((ahead - after) * (after - weights)).sum(dim=(1, 2)), "m -> m 1 1") > 0
            momentum = torch.where(uphill, torch.ones_like(momentum), momentum)
            following = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
            carry = torch.where(uphill, torch.zeros_like(momentum), (momentum - 1) / following)
            ahead = after + carry * (after - weights)
            ahead_biases = after_biases + carry[:, :, 0] * (after_biases - biases)
            weights, biases, momentum = after, after_biases, following
            if curves or epoch == self.epochs - 1:
                history.append(torch.stack([*scores, *_scores(_logits(validation, weights, biases), held)]))
        return LinearFit(weights.cpu(), biases.cpu(), Curves(*torch.stack(history, dim=1).cpu()))


class LinearFit(NamedTuple):
    """Weights on standardised rows along the dataset's axes, for every strength."""

    weights: Float[Tensor, "m k d"]
    biases: Float[Tensor, "m k"]
    curves: Curves  # epoch m

    def logits(self, strength: int, features: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """The read-out of one strength."""
        return features @ self.weights[strength].T + self.biases[strength]


def _logits(
    rows: Float[Tensor, "n d"], weights: Float[Tensor, "m k d"], biases: Float[Tensor, "m k"]
) -> Float[Tensor, "m k n"]:
    """Rows come last, since a softmax over a few classes is fastest when the numbers beside each other are rows'."""
    return (weights.flatten(0, 1) @ rows.T).view(*biases.shape, len(rows)) + biases[..., None]


def _scores(
    logits: Float[Tensor, "m k n"], labels: Int[Tensor, " n"]
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Mean loss in nats, and accuracy."""
    own = logits.gather(1, labels.expand(len(logits), 1, -1))[:, 0]
    loss = (logits.logsumexp(dim=1) - own).mean(dim=1)
    return loss, (own >= logits.amax(dim=1)).float().mean(dim=1)
