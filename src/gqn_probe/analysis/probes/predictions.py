"""Scores of read-outs: of all test rows, and of each object for intervals."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from scipy.stats import rankdata
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix


class Readings(NamedTuple):
    """What a probe read from rows it was not trained on. Labels are classes; ``counts`` says what they stand for."""

    objects: Int[Tensor, " n"]
    labels: Int[Tensor, " n"]
    predicted: Int[Tensor, " n"]
    log_probability: Float[Tensor, "n k"]  # nats

    @classmethod
    def of(cls, objects: Int[Tensor, " n"], labels: Int[Tensor, " n"], logits: Float[Tensor, "n k"]) -> "Readings":
        log_probability = logits.log_softmax(dim=-1)
        return cls(objects, labels, log_probability.argmax(dim=-1), log_probability)

    def without_probability(self) -> "Readings":
        """The same without what takes most memory."""
        return self._replace(log_probability=self.log_probability[:, :0])

    @classmethod
    def together(cls, readings: "list[Readings]") -> "Readings":
        """The readings of all seeds as one."""
        return cls(*(torch.cat(columns) for columns in zip(*readings, strict=True)))


ROW_METRICS = ("accuracy", "mean_absolute_error", "within_one", "loss")


def row_scores(readings: Readings, counts: Shaped[Tensor, " k"]) -> Float[Tensor, "n m"]:
    """The scores of each row, in the order of ``ROW_METRICS``; errors in counts, loss in nats."""
    error = (counts[readings.predicted] - counts[readings.labels]).abs()
    loss = -readings.log_probability.gather(1, readings.labels[:, None])[:, 0]
    columns = [readings.predicted == readings.labels, error, error <= 1, loss]
    return torch.stack([column.double() for column in columns], dim=1)


def whole_scores(readings: Readings, counts: Int[Tensor, " k"]) -> dict[str, float]:
    """Scores that are of all rows together."""
    labels, predicted = readings.labels.numpy(), readings.predicted
    constant = len(predicted.unique()) < 2 or len(readings.labels.unique()) < 2
    spearman = float("nan") if constant else np.corrcoef(rankdata(predicted), rankdata(labels))[0, 1]
    table = confusion(readings).double()
    recall = (table.diagonal() / table.sum(dim=1))[table.sum(dim=1) > 0]  # of the classes that there are rows of
    return {"balanced_accuracy": float(recall.mean()), "spearman": float(spearman)}


def confusion(readings: Readings) -> Int[Tensor, "k k"]:
    """How many rows of each true class (row) were read as each class (column)."""
    classes = readings.log_probability.shape[1]
    return multiclass_confusion_matrix(readings.predicted, readings.labels, num_classes=classes)


def adjacent_auc(readings: Readings) -> list[float]:
    """For each pair of neighbouring classes, the area under the ROC curve of telling one from the other."""
    areas = []
    for low in range(readings.log_probability.shape[1] - 1):
        rows = (readings.labels == low) | (readings.labels == low + 1)
        evidence = readings.log_probability[rows, low + 1] - readings.log_probability[rows, low]
        above = (readings.labels[rows] == low + 1).numpy()
        ranks = rankdata(evidence.numpy())  # the area is the Mann-Whitney statistic over the number of pairs
        wins = ranks[above].sum() - above.sum() * (above.sum() + 1) / 2
        areas.append(float(wins / (above.sum() * (~above).sum())))
    return areas


def per_object(values: Float[Tensor, "n m"], objects: Int[Tensor, " n"], total: int) -> Float[Tensor, "s m"]:
    """Sums of each object's rows."""
    return torch.zeros(total, values.shape[1], dtype=values.dtype).index_add_(0, objects, values)
