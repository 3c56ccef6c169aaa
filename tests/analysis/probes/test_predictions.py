"""Scores against datasets worked out by hand and against scikit-learn."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from gqn_probe.analysis.probes.predictions import (
    Predictions,
    adjacent_auc,
    confusion,
    row_scores,
    whole_scores,
)

COUNTS = torch.tensor([2, 4, 7])


def _readings(labels: list[int], predicted: list[int]) -> Predictions:
    logits = torch.nn.functional.one_hot(torch.tensor(predicted), 3).float() * 2
    return Predictions.from_logits(torch.arange(len(labels)), torch.tensor(labels), logits)


def test_errors_are_in_counts() -> None:
    scores = row_scores(_readings([0, 1, 2, 2], [0, 2, 2, 0]), COUNTS)
    assert scores[:, 0].tolist() == [1, 0, 1, 0]
    assert scores[:, 1].tolist() == [0, 3, 0, 5]
    assert scores[:, 2].tolist() == [1, 0, 1, 0]
    e = torch.tensor(2.0).exp()
    assert scores[0, 3] == pytest.approx(float(-(e / (e + 2)).log()))


def test_balanced_accuracy_weighs_counts_alike() -> None:
    scores = whole_scores(_readings([0, 0, 0, 1, 2, 2], [0, 0, 1, 1, 2, 0]), COUNTS)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    assert 0 < scores["spearman"] < 1


def test_confusion_has_true_counts_as_rows() -> None:
    assert confusion(_readings([0, 0, 1, 2], [0, 1, 1, 0])).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_adjacent_area_agrees_with_scikit_learn() -> None:
    labels = torch.randint(3, (200,))
    predictions = Predictions.from_logits(
        torch.arange(200), labels, torch.randn(200, 3) + torch.nn.functional.one_hot(labels, 3)
    )
    low = labels < 2
    evidence = (predictions.log_probability[:, 1] - predictions.log_probability[:, 0])[low]
    assert adjacent_auc(predictions)[0] == pytest.approx(roc_auc_score(labels[low], evidence))
