"""Ridge regression from one eigendecomposition, shared by all targets and strengths; the label-free tally.

With centred rows X (n x f), centred values Y (n x j) and strength l, both forms give the same predictions:

    primal  X (X'X + l n I)^-1 X'Y      where features are fewer (f x f)
    dual    K (K + l n I)^-1 Y          where rows are fewer (n x n); K = XX', or any other kernel

Leaving out row i changes its residual by the factor 1 / (1 - H_ii), H = K (K + l n I)^-1 + 1/n (Hastie, Tibshirani &
Friedman, "The elements of statistical learning", equation 7.64): leave-one-out cross-validation without refitting.
Columns are centred and share one scale: divided by their own deviations, units that are nearly dead would be amplified
to weigh as much as any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import ProbeDataset, to_principal_axes
from gqn_probe.analysis.probes.evaluation import ProbeResult, evaluate_splits
from gqn_probe.analysis.probes.standardization import CHUNK
from gqn_probe.analysis.questions.targets import Classes, Values

LEAST = 1e-12  # least strength, for singular equations
TALLY_STRENGTHS = (1e-8, 1e-6, 1e-4, 1e-2, 1.0)  # in units of the sum of squares of all views
NUMBERS = 1 << 21  # values read at a time where rows are streamed


@dataclass(frozen=True)
class Ridge:
    """Ridge regression of the count; the predicted class is the nearest count.

    Unlike a softmax it can extrapolate to counts that it was not trained on.
    """

    l2: Sequence[float]  # candidate strengths for standardised columns, a training row; selected on validation rows

    def evaluate(self, datasets: Sequence[ProbeDataset], values: Float[Tensor, " k"], device: str) -> list[ProbeResult]:
        return [self._evaluate(dataset, values) for dataset in datasets]

    def _evaluate(self, dataset: ProbeDataset, values: Float[Tensor, " k"]) -> ProbeResult:
        dataset = to_principal_axes(dataset)
        fit = fit_ridge(dataset, values[dataset.labels][:, None], self.l2)

        def logits(features: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
            return -0.5 * (fit.predict(features) - values) ** 2 / fit.spread  # Gaussian about the prediction

        return evaluate_splits(dataset, logits, values, fit.strength, None)


class RidgeFit(NamedTuple):
    """Ridge regression on standardised rows along principal axes, its strength selected on validation rows."""

    weights: Float[Tensor, "f j"]
    offset: Float[Tensor, " j"]
    strength: float
    spread: float  # mean squared error on validation rows

    def predict(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n j"]:
        return features @ self.weights + self.offset


def fit_ridge(dataset: ProbeDataset, values: Float[Tensor, "n j"], strengths: Sequence[float]) -> RidgeFit:
    """Fit ridge regression, which along principal axes is a division; select the strength on validation rows."""
    assert dataset.squares is not None, "the data set must be rotated to its principal axes"
    train, validation = dataset.split.train, dataset.split.validation
    offset = values[train].mean(dim=0)
    products = [dataset.features[part].T @ (values[part] - offset) for part in train.split(CHUNK)]
    moment = torch.stack(products).sum(dim=0) / len(train)
    fits = []
    for strength in strengths:
        weights = moment / (dataset.squares + max(strength, LEAST))[:, None]
        fit = RidgeFit(weights, offset, strength, 0.0)
        errors = [(fit.predict(dataset.features[part]) - values[part]).square() for part in validation.split(CHUNK)]
        fits.append(fit._replace(spread=max(float(torch.cat(errors).mean()), 1e-6)))
    return min(fits, key=lambda fit: fit.spread)


class Predicted(NamedTuple):
    """Predictions of one target by ridge regression, for all rows."""

    values: Float[Tensor, "n j"]
    left_out: Float[Tensor, "a j"]  # leave-one-out predictions of training rows
    error: float  # leave-one-out error: squared, or misclassified rows


class KernelRidge:
    """Kernel ridge regression (dual form) of many targets, each with its strength by leave-one-out cross-validation.

    Args:
        kernel: Gram matrix of all rows.
        train: the rows to fit, one an object, so that leaving out a row leaves out an object.
        strengths: candidates, in units of the mean eigenvalue of the centred training Gram matrix.
    """

    def __init__(self, kernel: Float[Tensor, "n n"], train: Int[Tensor, " a"], strengths: Sequence[float]) -> None:
        self.train, self.strengths = train, strengths
        rows = kernel[:, train].double()
        own = rows[train]
        self.row_means, mean = own.mean(dim=0), own.mean()
        own = own - self.row_means - self.row_means[:, None] + mean
        # all rows, centred on the training rows
        self.rows = rows - rows.mean(dim=1, keepdim=True) - self.row_means + mean
        self.variances, self.axes = torch.linalg.eigh(own)
        self.variances = self.variances.clamp(min=0)
        self.scale = float(self.variances.mean())

    def predict(self, targets: Sequence[Classes | Values]) -> list[Predicted]:
        """Predict every target for all rows; its values are read at training rows alone.

        A target for which no strength improves on the mean by one standard error is predicted by the mean, which keeps
        noise from being fitted. For classes, whose mean names one class alone, the best strength is used in any case.
        """
        wanted, spans = _columns(targets, self.train)
        offset = wanted.mean(dim=0)
        along = self.axes.T @ (wanted - offset)
        alone = (wanted - offset) * (len(self.train) / (len(self.train) - 1))  # leave-one-out residuals of the mean
        residuals = [self._left_out(along, strength) for strength in self.strengths]
        found = []
        for target, own in zip(targets, spans, strict=True):
            classes = isinstance(target, Classes)
            errors = torch.stack([_errors(wanted[:, own], each[:, own], classes) for each in (*residuals, alone)])
            best = _strength(errors, classes)
            predicted, left = offset[own].repeat(len(self.rows), 1), alone if best is None else residuals[best]
            if best is not None:
                weights = self.axes @ (along[:, own] / self._damped(self.strengths[best])[:, None])
                predicted += self.rows @ weights
            error = errors[-1 if best is None else best].sum()
            found.append(Predicted(predicted, (wanted - left)[:, own], float(error)))
        return found

    def _damped(self, strength: float) -> Float[Tensor, " a"]:
        return self.variances + max(strength, LEAST) * max(self.scale, LEAST)

    def _left_out(self, along: Float[Tensor, "a j"], strength: float) -> Float[Tensor, "a j"]:
        """Return the leave-one-out residuals of training rows."""
        shares = self.variances / self._damped(strength)
        residuals = self.axes @ (along * (1 - shares)[:, None])
        leverage = self.axes.square() @ shares + 1 / len(self.train)
        return residuals / (1 - leverage).clamp(min=1e-6)[:, None]


class PrimalRidge:
    """The same as linear ``KernelRidge`` in the primal form, for objects whose Gram matrix exceeds memory.

    Rows are read in chunks: once for the covariance, three times for each prediction.

    Args:
        rows: features of all objects; may be memory-mapped.
        train, strengths: as of ``KernelRidge``.
    """

    def __init__(self, rows: Float[Tensor, "n f"], train: Int[Tensor, " a"], strengths: Sequence[float]) -> None:
        self.rows, self.train, self.strengths = rows, train, strengths
        total, products = torch.zeros(()), torch.zeros(())
        for part in train.split(CHUNK):
            total = total + rows[part].sum(dim=0, dtype=torch.float64)
        self.mean = total / len(train)
        for part in train.split(self._chunk(1)):
            centred = rows[part].double() - self.mean
            products = products + centred.T @ centred
        self.variances, self.axes = torch.linalg.eigh(products)
        self.variances = self.variances.clamp(min=0)
        self.scale = float(self.variances.sum()) / len(train)

    def predict(self, targets: Sequence[Classes | Values]) -> list[Predicted]:
        """Predict as ``KernelRidge.predict``, equal up to rounding."""
        wanted, spans = _columns(targets, self.train)
        chunk, number = self._chunk(wanted.shape[1]), len(self.train)
        offset = wanted.mean(dim=0)
        along = torch.zeros(())
        for places in torch.arange(number).split(chunk):
            along = along + self._along(self.train[places]).T @ (wanted[places] - offset)
        weights = [along / self._damped(strength)[:, None] for strength in self.strengths]
        errors = torch.zeros(len(targets), len(weights) + 1, number, dtype=torch.float64)  # the last are the mean's
        for places in torch.arange(number).split(chunk):
            rows, centred = self._along(self.train[places]), wanted[places] - offset
            residuals = [self._left_out(rows, centred, m, weights[m]) for m in range(len(weights))]
            residuals.append(centred * (number / (number - 1)))
            for target, own, of_target in zip(targets, spans, errors, strict=True):
                of_each = [
                    _errors(wanted[places, own], each[:, own], isinstance(target, Classes)) for each in residuals
                ]
                of_target[:, places] = torch.stack(of_each)
        found = []
        for target, own, of_target in zip(targets, spans, errors, strict=True):
            best = _strength(of_target, isinstance(target, Classes))
            predicted = offset[own].repeat(len(self.rows), 1)
            left_out = offset[own] - (wanted[:, own] - offset[own]) / (number - 1)  # the mean of the others
            if best is not None:
                fitted = weights[best][:, own]
                for part in torch.arange(len(self.rows)).split(chunk):
                    predicted[part] += self._along(part) @ fitted
                for places in torch.arange(number).split(chunk):
                    rows, centred = self._along(self.train[places]), wanted[places, own] - offset[own]
                    left_out[places] = wanted[places, own] - self._left_out(rows, centred, best, fitted)
            error = of_target[-1 if best is None else best].sum()
            found.append(Predicted(predicted, left_out, float(error)))
        return found

    def _chunk(self, columns: int) -> int:
        return max(1, NUMBERS // max(self.rows.shape[1], columns))

    def _along(self, part: Int[Tensor, " part"]) -> Float[Tensor, "part f"]:
        return (self.rows[part].double() - self.mean) @ self.axes

    def _damped(self, strength: float) -> Float[Tensor, " f"]:
        return self.variances + max(strength, LEAST) * max(self.scale, LEAST)

    def _left_out(
        self,
        along: Float[Tensor, "part f"],
        wanted: Float[Tensor, "part j"],
        strength: int,
        weights: Float[Tensor, "f j"],
    ) -> Float[Tensor, "part j"]:
        """Return the leave-one-out residuals of training rows."""
        leverage = along.square() @ (1 / self._damped(self.strengths[strength])) + 1 / len(self.train)
        return (wanted - along @ weights) / (1 - leverage).clamp(min=1e-6)[:, None]


def _columns(targets: Sequence[Classes | Values], rows: Int[Tensor, " a"]) -> tuple[Float[Tensor, "a j"], list[slice]]:
    """Return the columns of all targets at some rows, and the span of each target."""
    columns = [target.columns for target in targets]
    ends = pairwise(accumulate((each.shape[1] for each in columns), initial=0))
    return torch.cat(columns, dim=1)[rows].double(), [slice(*span) for span in ends]


def _strength(errors: Float[Tensor, "m a"], classes: bool) -> int | None:
    """Return the strength of least leave-one-out error; None if its gain over the mean is below a standard error.

    Args:
        errors: of each strength, and last of the mean.
    """
    best = int(errors[:-1].sum(dim=1).argmin())
    gain = errors[-1] - errors[best]
    return best if classes or gain.mean() > gain.std() / len(gain) ** 0.5 else None


def _errors(wanted: Float[Tensor, "a j"], residuals: Float[Tensor, "a j"], classes: bool) -> Float[Tensor, " a"]:
    """Return each row's squared error; for classes its misclassification, ties broken by squared error."""
    squares = residuals.square().sum(dim=1)
    if not classes:
        return squares
    return (wanted - residuals).argmax(dim=1).ne(wanted.argmax(dim=1)) + 1e-6 * squares


def dual_bytes(rows: int) -> int:
    """Return the bytes that the dual form takes: Gram matrix, its centred copy and eigenvectors in double precision."""
    return 40 * rows**2


def linear_kernel(rows: Float[Tensor, "n f"]) -> Float[Tensor, "n n"]:
    """Return the Gram matrix of centred rows, in double precision."""
    centred = rows - rows.mean(dim=0)
    return (centred @ centred.T).double()


def gaussian_kernel(linear: Float[Tensor, "n n"], width: float) -> Float[Tensor, "n n"]:
    """Return ``exp(-d² / 2w²)`` for distances d of rows and w = ``width`` times the median distance."""
    squares = linear.diagonal()
    distances = (squares[:, None] + squares - 2 * linear).clamp(min=0)
    median = distances[~torch.eye(len(linear), dtype=torch.bool)].median().clamp(min=1e-12)
    return (-distances / (2 * width**2 * median)).exp()


def tally_direction(
    views: Float[Tensor, "n f"], held: Float[Tensor, "a f"], strengths: Sequence[float] = TALLY_STRENGTHS
) -> Float[Tensor, " f"]:
    """Fit w such that w · view = 1 for single views: ridge regression of a constant, without an offset.

    The fit sees neither sums nor counts, yet w · r is about k for a sum r of any k views. Where rounding it gives the
    count, r need hold nothing but that it is a sum of non-negative views.

    Args:
        views: of training objects.
        held: views of other objects, on which the strength is selected.
    """
    products = sum(part.double().T @ part.double() for part in views.split(CHUNK))
    squares, axes = torch.linalg.eigh(products)
    along = axes.T @ views.sum(dim=0, dtype=torch.float64)
    unit = squares.sum().clamp(min=1e-12)
    fits = torch.stack([axes @ (along / (squares.clamp(min=0) + strength * unit)) for strength in strengths])
    errors = torch.stack([(part.double() @ fits.T - 1).square().sum(dim=0) for part in held.split(CHUNK)]).sum(dim=0)
    return fits[int(errors.argmin())].float()


def tally(
    sums: Float[Tensor, "n f"], direction: Float[Tensor, " f"], counts: Float[Tensor, " k"]
) -> Float[Tensor, "n k"]:
    """Return logits of the number of summed views, w · r: largest for the nearest of ``counts``."""
    return -((sums @ direction)[:, None] - counts).square()
