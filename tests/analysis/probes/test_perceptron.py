"""Perceptrons side by side are what they are alone; batches, scaling and rotation of rows."""

from dataclasses import replace

import pytest
import torch

from gqn_probe.analysis.probes.dataset import ProbeDataset
from gqn_probe.analysis.probes.perceptron import Perceptron, RowStream
from gqn_probe.analysis.probes.standardization import column_moments, principal_axes
from gqn_probe.analysis.questions.splits import Split

PROBE = Perceptron(epochs=8, batch_size=32, learning_rate=0.1, l2=(1e-3, 1e-1), hidden=5)


def _problem(seed: int, width: int = 6, rows: int = 120) -> ProbeDataset:
    generator = torch.Generator().manual_seed(seed + 10 * width)
    labels = torch.randint(3, (rows,), generator=generator)
    inputs = torch.randn(rows, width, generator=generator) + torch.nn.functional.one_hot(labels, width)
    order = torch.randperm(rows, generator=generator)
    split = Split(order[:84], order[84:], test=order[:0])
    return ProbeDataset("count", "x", "none", seed, inputs, labels, torch.arange(len(labels)), split, inputs)


@pytest.mark.slow
def test_side_by_side_as_alone() -> None:
    datasets = [_problem(0), _problem(1, width=4), _problem(2), _problem(3, width=4)]
    together = PROBE.fit(datasets, classes=3, rows=84)
    for i, dataset in enumerate(datasets):
        for m, strength in enumerate(PROBE.l2):
            alone = replace(PROBE, l2=(strength,)).fit([dataset], classes=3, rows=84)
            expected = alone.logits(0, 0, dataset.features)
            torch.testing.assert_close(together.logits(i, m, dataset.features), expected, atol=1e-4, rtol=1e-4)
            for ours, theirs in zip(together.curves, alone.curves, strict=True):
                torch.testing.assert_close(ours[:, i, m], theirs[:, 0, 0], atol=1e-4, rtol=1e-4)


def test_curves_count_every_row_once() -> None:
    dataset = _problem(0)
    fitted = PROBE.fit([dataset], classes=3, rows=84)
    held = fitted.logits(0, 1, dataset.features[dataset.split.validation])
    right = (held.argmax(dim=1) == dataset.labels[dataset.split.validation]).float().mean()
    assert fitted.curves.validation_accuracy[-1, 0, 1] == pytest.approx(float(right))
    loss = torch.nn.functional.cross_entropy(held, dataset.labels[dataset.split.validation])
    assert fitted.curves.validation_loss[-1, 0, 1] == pytest.approx(float(loss), abs=1e-5)
    assert fitted.curves.train_accuracy.shape == (8, 1, 2)


def test_problems_of_unequal_size_do_not_dilute_each_other() -> None:
    small = _problem(0)._replace(split=Split(torch.arange(20), torch.arange(84, 90), torch.arange(0)))
    fitted = PROBE.fit([small, _problem(1)], classes=3, rows=84)
    held = fitted.logits(0, 0, small.features[84:90])
    right = (held.argmax(dim=1) == small.labels[84:90]).float().mean()
    assert fitted.curves.validation_accuracy[-1, 0, 0] == pytest.approx(float(right))
    alone = PROBE.fit([small], classes=3, rows=84)
    for m in range(len(PROBE.l2)):
        torch.testing.assert_close(fitted.logits(0, m, small.features), alone.logits(0, m, small.features))


def test_standardisation_sees_training_rows_alone() -> None:
    dataset = _problem(0)
    spoiled = dataset.features.clone()
    spoiled[dataset.split.validation] = 1e6
    for ours, theirs in zip(
        column_moments(spoiled, dataset.split.train), column_moments(dataset.features, dataset.split.train), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_basis_is_a_rotation() -> None:
    dataset = _problem(0)
    squares, basis = principal_axes([dataset.features])
    rotated = (dataset.features @ basis).square().mean(dim=0)
    torch.testing.assert_close(rotated, squares, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(basis @ basis.T, torch.eye(6), atol=1e-5, rtol=0)


def test_a_pass_reads_every_row_once() -> None:
    stream = RowStream(_problem(0))
    passes = [torch.cat([stream.take(30), stream.take(54)]) for _ in range(2)]
    assert all(torch.equal(each.sort().values, _problem(0).split.train.sort().values) for each in passes)
    assert not torch.equal(*passes)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="epochs of a probe must be above 0, got 0"):
        replace(PROBE, epochs=0)
    with pytest.raises(ValueError, match=r"at least 0, got \[-1\]"):
        replace(PROBE, l2=(-1,))
