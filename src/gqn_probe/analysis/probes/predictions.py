"""Held-out predictions of a probe and their metrics."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from scipy.stats import rankdata
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix


class Predictions(NamedTuple):
    """Held-out predictions of rows, of one seed or several."""

    groups: Int[Tensor, " n"]
    labels: Int[Tensor, " n"]
    predicted: Int[Tensor, " n"]
    log_probability: Float[Tensor, "n k"]  # nats
    margin: Float[Tensor, " n"]  # log-odds of the label against the likeliest other class, nats
    encoders: Int[Tensor, " n"]  # the untrained encoder that the row is of; 0 for the trained one

    @classmethod
    def from_logits(
        cls, groups: Int[Tensor, " n"], labels: Int[Tensor, " n"], logits: Float[Tensor, "n k"], encoder: int = 0
    ) -> "Predictions":
        log_probability = logits.log_softmax(dim=-1)
        own = log_probability.gather(1, labels[:, None])
        others = log_probability.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
        predicted = log_probability.argmax(dim=-1)
        return cls(groups, labels, predicted, log_probability, own[:, 0] - others, torch.full_like(groups, encoder))

    def without_probability(self) -> "Predictions":
        """Return a copy without log-probabilities, which take most memory."""
        return self._replace(log_probability=self.log_probability[:, :0])

    @classmethod
    def concatenate(cls, predictions: "list[Predictions]") -> "Predictions":
        """Join the predictions of several seeds."""
        return cls(*(torch.cat(columns) for columns in zip(*predictions, strict=True)))


ROW_METRICS = ("accuracy", "mean_absolute_error", "within_one", "loss")


def row_scores(predictions: Predictions, counts: Shaped[Tensor, " k"]) -> Float[Tensor, "n metric"]:
    """Return the metrics of each row, in the order of ``ROW_METRICS``; errors in counts, loss in nats."""
    error = (counts[predictions.predicted] - counts[predictions.labels]).abs()
    loss = -predictions.log_probability.gather(1, predictions.labels[:, None])[:, 0]
    columns = [predictions.predicted == predictions.labels, error, error <= 1, loss]
    return torch.stack([column.double() for column in columns], dim=1)


def whole_scores(predictions: Predictions, counts: Int[Tensor, " k"]) -> dict[str, float]:
    """Return balanced accuracy and Spearman correlation, which are defined over all rows together."""
    labels, predicted = predictions.labels.numpy(), predictions.predicted
    constant = len(predicted.unique()) < 2 or len(predictions.labels.unique()) < 2
    spearman = float("nan") if constant else np.corrcoef(rankdata(predicted), rankdata(labels))[0, 1]
    table = confusion(predictions).double()
    recall = (table.diagonal() / table.sum(dim=1))[table.sum(dim=1) > 0]  # of classes that have rows
    return {"balanced_accuracy": float(recall.mean()), "spearman": float(spearman)}


def confusion(predictions: Predictions) -> Int[Tensor, "k k"]:
    """Return the confusion matrix: true classes in rows, predicted ones in columns."""
    classes = predictions.log_probability.shape[1]
    return multiclass_confusion_matrix(predictions.predicted, predictions.labels, num_classes=classes)


def adjacent_auc(predictions: Predictions) -> list[float]:
    """Return the area under the ROC curve for each pair of neighbouring classes."""
    areas = []
    for low in range(predictions.log_probability.shape[1] - 1):
        rows = (predictions.labels == low) | (predictions.labels == low + 1)
        evidence = predictions.log_probability[rows, low + 1] - predictions.log_probability[rows, low]
        above = (predictions.labels[rows] == low + 1).numpy()
        ranks = rankdata(evidence.numpy())  # the area is the Mann-Whitney statistic over the number of pairs
        wins = ranks[above].sum() - above.sum() * (above.sum() + 1) / 2
        areas.append(float(wins / (above.sum() * (~above).sum())))
    return areas
