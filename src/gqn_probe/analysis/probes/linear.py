"""The linear probe: multinomial logistic regression with L2 penalty by L-BFGS, and its description length.

L-BFGS (Liu & Nocedal 1989) starts from linear discriminant analysis, regularised to the least objective. Coordinates
are scaled by the Fisher information there, approximated by the Kronecker product of its means over classes and over
axes (as in K-FAC, Martens & Grosse 2015), which along principal axes is diagonal in the features: curvatures are about
1, and half the squared gradient is about the distance to the optimum in nats. All L2 strengths are optimised side by
side; one that has converged drops out. Gradients are of all training rows, in chunks, which may exceed memory.

The description length is that of prequential (online) coding: bits a label (Voita & Titov 2020, "Information-theoretic
probing with minimum description length", section 3.2).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import ProbeDataset, to_principal_axes
from gqn_probe.analysis.probes.evaluation import Curves, ProbeResult, evaluate_splits, select_strength
from gqn_probe.analysis.probes.standardization import CHUNK

MEMORY = 10  # updates that L-BFGS stores
CONVERGED = 3e-4  # length of the scaled gradient: about 5e-8 nats from the optimum
SHORTEST = 1e-2  # step length at which the line search gives up: rounding dominates
LEAST = 1e-12  # least curvature, for axes without variance
LEAST_FISHER = 1e-6  # least Fisher information of a direction in class space, nats
START_RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # added to within-class variances of linear discriminant analysis
BLOCK_ENDS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)  # of the training objects, in prequential coding


@dataclass(frozen=True)
class Linear:
    """Multinomial logistic regression on standardised rows; penalty l2 / 2 times squared weights, biases free."""

    epochs: int  # maximal number of L-BFGS steps, one pass over all training rows each
    l2: Sequence[float]  # candidate strengths, selected on validation rows

    def __post_init__(self) -> None:
        if self.epochs <= 0:
            raise ValueError(f"epochs of a probe must be above 0, got {self.epochs}")
        if not self.l2 or min(self.l2) < 0:
            raise ValueError(f"l2 of a probe needs one or more strengths of at least 0, got {list(self.l2)}")

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [self._evaluate(to_principal_axes(dataset), values, device) for dataset in datasets]

    def _evaluate(self, dataset: ProbeDataset, values: Float[Tensor, " k"], device: str) -> ProbeResult:
        fit = self.fit(dataset, len(values), device)
        chosen = select_strength(fit.accuracy, fit.loss)
        curves = self._curves(fit, chosen, dataset)
        return evaluate_splits(dataset, partial(fit.logits, chosen), values, self.l2[chosen], curves)

    def fit(self, dataset: ProbeDataset, classes: int, device: str = "cpu") -> "LinearFit":
        """Fit every strength to the training rows of a data set along principal axes; score validation rows."""
        assert dataset.squares is not None, "the data set must be rotated to its principal axes"
        objective = Objective(TrainingRows(dataset, device), classes, dataset.squares.to(device), self.l2)
        path, scores = minimize_lbfgs(objective, self.epochs)
        loss, accuracy = _validation_scores(path[-1].cpu(), dataset)
        return LinearFit(path[-1].cpu(), accuracy, loss, path.cpu(), scores.cpu())

    def _curves(self, fit: "LinearFit", chosen: int, dataset: ProbeDataset) -> Curves:
        """Return the learning curves of one strength; constant once it has converged."""
        loss, accuracy = _validation_scores(fit.path[:, chosen], dataset)
        trained = fit.train_scores[:, :, chosen]
        return Curves(trained[:, 0], trained[:, 1], loss, accuracy)


class LinearFit(NamedTuple):
    """Weights of every strength, on standardised rows along principal axes; the last weight is the bias."""

    weights: Float[Tensor, "m k e"]
    accuracy: Float[Tensor, " m"]  # on validation rows
    loss: Float[Tensor, " m"]  # on validation rows, nats
    path: Float[Tensor, "epoch m k e"]
    train_scores: Float[Tensor, "epoch 2 m"]  # loss in nats and accuracy

    def logits(self, strength: int, features: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Return the logits of one strength."""
        weights = self.weights[strength]
        return features @ weights[:, :-1].T + weights[:, -1]


class TrainingRows:
    """Training rows with a last column of ones, and their labels, in chunks.

    Chunks stay on the device, unless the rows exceed memory: then each pass reads them again.
    """

    def __init__(self, dataset: ProbeDataset, device: str) -> None:
        self.dataset, self.device = dataset, device
        self.chunks = dataset.split.train.split(CHUNK)
        self.in_memory = None if dataset.scratch is not None else [self._read(chunk) for chunk in self.chunks]

    def __len__(self) -> int:
        return len(self.dataset.split.train)

    def __iter__(self) -> Iterator[tuple[Float[Tensor, "n e"], Int[Tensor, " n"]]]:
        return iter(self.in_memory) if self.in_memory is not None else map(self._read, self.chunks)

    def _read(self, chunk: Int[Tensor, " n"]) -> tuple[Float[Tensor, "n e"], Int[Tensor, " n"]]:
        rows = _with_one(self.dataset.features[chunk].to(self.device))
        return rows, self.dataset.labels[chunk].to(self.device)


class Objective:
    """Penalised mean loss of several strengths and its gradient, in scaled coordinates (``places``)."""

    def __init__(
        self, rows: TrainingRows, classes: int, squares: Float[Tensor, " d"], strengths: Sequence[float]
    ) -> None:
        self.rows, self.classes, self.squares = rows, classes, squares
        strong = torch.tensor(strengths, device=squares.device)
        self.penalty = torch.cat([strong[:, None].expand(-1, len(squares)), strong.new_zeros(len(strong), 1)], dim=1)
        candidates = self._discriminants()
        likelihood, fisher = self._class_statistics(candidates)
        squared = candidates.square().double().sum(dim=1)
        chosen = (likelihood + 0.5 * self.penalty.double() @ squared.T).argmin(dim=1)  # of each strength
        information, self.axes = torch.linalg.eigh(fisher[chosen])
        curvature = information.clamp(min=LEAST_FISHER)[:, :, None] * torch.cat([squares, squares.new_ones(1)])
        self.axes = self.axes.float()
        self.unit = (curvature + self.penalty[:, None]).clamp(min=LEAST).rsqrt().float()
        self.start = (self.axes.mT @ candidates[chosen]) / self.unit

    def _discriminants(self) -> Float[Tensor, "c k e"]:
        """Return the weights of linear discriminant analysis for each of ``START_RIDGES``, and zero weights."""
        sums = self.squares.new_zeros(self.classes, len(self.squares) + 1, dtype=torch.float64)
        for rows, truth in self.rows:
            sums.index_add_(0, truth, rows.double())
        number = sums[:, -1].clamp(min=0.5)  # of classes that may be missing
        means, share = sums[:, :-1] / number[:, None], number / len(self.rows)
        between = share.sqrt()[:, None] * means  # variances within classes are squares - between' between
        found = []
        for ridge in START_RIDGES:
            scaled = between / (self.squares.double() + ridge)
            core = torch.eye(self.classes, device=scaled.device) - between @ scaled.T  # Woodbury identity
            weights = (scaled + scaled @ between.T @ torch.linalg.solve(core, scaled)) / share.sqrt()[:, None]
            bias = share.log() - 0.5 * (weights * means).sum(dim=1)
            found.append(torch.cat([weights - weights.mean(dim=0), (bias - bias.mean())[:, None]], dim=1))
        return torch.stack([*found, torch.zeros_like(found[0])]).float()

    def _class_statistics(self, weights: Float[Tensor, "c k e"]) -> tuple[Float[Tensor, " c"], Float[Tensor, "c k k"]]:
        """Return mean loss (nats) and mean Fisher information of the logits, for each of several weights."""
        loss = weights.new_zeros(len(weights), dtype=torch.float64)
        fisher = weights.new_zeros(len(weights), self.classes, self.classes, dtype=torch.float64)
        for rows, truth in self.rows:
            likely = (weights @ rows.T).log_softmax(dim=1)
            loss -= likely.gather(1, truth.expand(len(weights), 1, -1)).double().sum(dim=(1, 2))
            likely = likely.exp_()
            fisher += torch.diag_embed(likely.sum(dim=2)) - likely @ likely.mT
        return loss / len(self.rows), fisher / len(self.rows)

    def weights(self, places: Float[Tensor, "a k e"], which: Int[Tensor, " a"]) -> Float[Tensor, "a k e"]:
        return self.axes[which] @ (places * self.unit[which])

    def __call__(self, places: Float[Tensor, "a k e"], which: Int[Tensor, " a"]) -> "Evaluation":
        """Evaluate the strengths ``which``; logits are overwritten by errors to save memory."""
        weights = self.weights(places, which)
        scores, slope = weights.new_zeros(2, len(which), dtype=torch.float64), torch.zeros_like(weights)
        for rows, truth in self.rows:
            share, labels = len(rows) / len(self.rows), truth.expand(len(which), 1, -1)
            logits = (weights.flatten(0, 1) @ rows.T).view(len(which), self.classes, -1)
            top, own = logits.amax(dim=1, keepdim=True), logits.gather(1, labels)
            likely = logits.sub_(top).exp_()
            total = likely.sum(dim=1, keepdim=True)
            loss, right = (total.log() + top - own).mean(dim=(1, 2)), (own >= top).float().mean(dim=(1, 2))
            scores += share * torch.stack([loss, right])
            errors = likely.div_(total).scatter_add_(1, labels, own.new_full((), -1.0).expand_as(labels))
            slope += share * ((errors.flatten(0, 1) @ rows).view_as(weights) / len(rows))
        penalty = self.penalty[which][:, None]
        value = scores[0] + 0.5 * (penalty * weights.square()).double().sum(dim=(1, 2))
        gradient = self.axes[which].mT @ (slope + penalty * weights) * self.unit[which]
        return Evaluation(value, gradient, scores.float())


class Evaluation(NamedTuple):
    """Value and gradient of the objective, one point a strength."""

    value: Float[Tensor, " a"]
    gradient: Float[Tensor, "a k e"]
    scores: Float[Tensor, "2 a"]  # loss in nats and accuracy


def minimize_lbfgs(
    objective: Objective, epochs: int
) -> tuple[Float[Tensor, "epoch m k e"], Float[Tensor, "epoch 2 m"]]:
    """Minimise by L-BFGS with backtracking; return weights and training scores after each epoch."""
    here = objective.start
    which = torch.arange(len(here), device=here.device)
    path, scores = here.new_zeros(epochs, *here.shape), here.new_zeros(epochs, 2, len(which))
    now, share = objective(here, which), here.new_ones(len(which), 1, 1)
    ahead = -now.gradient
    ended = torch.zeros_like(which)  # the last epoch of each strength
    memory = here.new_zeros(len(which), 2 * MEMORY + 1, here[0].numel())  # steps, what they changed, the gradient
    for epoch in range(epochs):
        trial = here + share * ahead
        then = objective(trial, which)
        descent = (share * ahead * now.gradient).sum(dim=(1, 2))
        taken = then.value <= now.value + 1e-4 * descent  # Armijo's condition; else a shorter step is tried next
        lower = taken[:, None, None]
        slot = epoch % MEMORY
        memory[:, slot] = torch.where(lower, trial - here, 0.0).flatten(1)
        memory[:, MEMORY + slot] = torch.where(lower, then.gradient - now.gradient, 0.0).flatten(1)
        here = torch.where(lower, trial, here)
        now = Evaluation(
            torch.where(taken, then.value, now.value),
            torch.where(lower, then.gradient, now.gradient),
            torch.where(taken, then.scores, now.scores),
        )
        path[epoch, which], scores[epoch, :, which] = objective.weights(here, which), now.scores
        ended[which] = epoch
        memory[:, -1] = now.gradient.flatten(1)
        ahead = torch.where(lower, -_lbfgs_product(memory, slot).view_as(here), ahead)
        share = torch.where(lower, 1.0, 0.3 * share)
        moving = (memory[:, -1].norm(dim=1) > CONVERGED) & (share.flatten() > SHORTEST)
        if not moving.all():
            which, here, ahead, share, memory = (each[moving] for each in (which, here, ahead, share, memory))
            now = Evaluation(now.value[moving], now.gradient[moving], now.scores[:, moving])
            if not len(which):
                break
    reached = torch.minimum(torch.arange(epochs, device=ended.device)[:, None], ended)  # from its end on it stays there
    every = torch.arange(len(ended), device=ended.device)
    return path[reached, every], scores.transpose(1, 2)[reached, every].transpose(1, 2)


def _lbfgs_product(memory: Float[Tensor, "a vector weight"], newest: int) -> Float[Tensor, "a weight"]:
    """Return inverse Hessian times gradient by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4).

    The result is a linear combination of the stored vectors, so that the recursion needs their inner products alone;
    rejected steps are stored as zeros and get no weight.
    """
    # In numpy: less overhead a call on sums this small.
    products = (memory @ memory.transpose(1, 2)).cpu().double().numpy()
    shares = np.zeros((len(memory), 2 * MEMORY + 1))
    shares[:, -1] = 1.0
    newest_first = [(newest - age) % MEMORY for age in range(MEMORY)]
    remembered = np.arange(MEMORY)
    curved = products[:, remembered, MEMORY + remembered]
    weights = np.divide(1.0, curved, out=np.zeros_like(curved), where=curved > 0)
    for i in newest_first:
        shares[:, MEMORY + i] -= weights[:, i] * (products[:, i] * shares).sum(axis=1)
    changed = products[:, MEMORY + newest, MEMORY + newest]
    scale = np.divide(curved[:, newest], changed, out=np.ones_like(changed), where=curved[:, newest] > 0)
    back = -shares[:, MEMORY:-1].copy()
    shares = shares * scale[:, None]
    for i in reversed(newest_first):
        shares[:, i] += back[:, i] - weights[:, i] * (products[:, MEMORY + i] * shares).sum(axis=1)
    return torch.einsum("av,avw->aw", torch.from_numpy(shares).to(memory), memory)


def _with_one(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
    """Append a column of ones, whose weight is the bias."""
    return torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)


def _validation_scores(
    weights: Float[Tensor, "m k e"], dataset: ProbeDataset
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Return mean loss (nats) and accuracy on validation rows of several weight matrices."""
    rows, scores = dataset.split.validation, weights.new_zeros(2, len(weights))
    for part in rows.split(CHUNK):
        logits = torch.einsum("mke,ne->mkn", weights, _with_one(dataset.features[part]))
        own = logits.gather(1, dataset.labels[part].expand(len(logits), 1, -1))[:, 0]
        loss = (logits.logsumexp(dim=1) - own).mean(dim=1)
        right = (own >= logits.amax(dim=1)).float().mean(dim=1)
        scores += len(part) / len(rows) * torch.stack([loss, right])
    return scores[0], scores[1]


def code_lengths(dataset: ProbeDataset, probe: Linear, *, classes: int, device: str = "cpu") -> Float[Tensor, " a"]:
    """Return the prequential code length of each training label, bits; rows are ordered by object.

    Objects come in blocks. Each is coded by the probe trained on all earlier blocks, the first by a uniform code; the
    strength is selected for each block on the data set's validation rows.
    """
    train = dataset.split.train
    rows = train[dataset.groups[train].argsort(stable=True)]
    ends = _block_ends(dataset.groups, train)
    bits = [torch.full((ends[0],), math.log2(classes))]
    for known, upto in pairwise(ends):
        grown = to_principal_axes(dataset._replace(split=dataset.split._replace(train=rows[:known])))
        fit = probe.fit(grown, classes, device)
        coded, chosen = rows[known:upto], int(fit.loss.argmin())
        for part in coded.split(CHUNK):
            log_probability = fit.logits(chosen, grown.features[part]).log_softmax(dim=1)
            bits.append(-log_probability.gather(1, dataset.labels[part][:, None])[:, 0] / math.log(2))
    return torch.cat(bits)


def _block_ends(groups: Int[Tensor, " n"], train: Int[Tensor, " a"]) -> list[int]:
    """Return the number of rows up to the end of each block of whole objects; empty blocks are left out."""
    sizes = groups[train].unique(return_counts=True)[1].cumsum(0)
    ends = [int(sizes[max(1, round(share * len(sizes))) - 1]) for share in BLOCK_ENDS]
    return sorted(set(ends))
