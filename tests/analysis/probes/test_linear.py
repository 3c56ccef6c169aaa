"""Ridge, neighbours and the online code on rows whose answer is known."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as TheirRidge
from torch.nn.functional import one_hot

from gqn_probe.analysis.probes import dataset as dataset_module
from gqn_probe.analysis.probes import linear, ridge, standardization
from gqn_probe.analysis.probes.dataset import ProbeDataset, to_principal_axes
from gqn_probe.analysis.probes.evaluation import ProbeResult, select_strength
from gqn_probe.analysis.probes.knn import NearestMean, NearestNeighbours
from gqn_probe.analysis.probes.linear import Linear, LinearFit, code_lengths
from gqn_probe.analysis.probes.ridge import (
    KernelRidge,
    PrimalRidge,
    Ridge,
    fit_ridge,
    gaussian_kernel,
    linear_kernel,
    tally,
    tally_direction,
)
from gqn_probe.analysis.probes.standardization import column_moments
from gqn_probe.analysis.questions.splits import Split, rows_of, split_groups
from gqn_probe.analysis.questions.targets import Classes, Values

CONF = Path(__file__).parents[3] / "conf"
VALUES = torch.tensor([2.0, 3.0, 5.0, 9.0])


def _case(noise: float, objects: int = 60) -> ProbeDataset:
    labels = torch.arange(4).repeat(objects)
    inputs = VALUES[labels][:, None] * torch.tensor([1.0, -2.0, 0.5]) + noise * torch.randn(4 * objects, 3)
    split = Split(*(rows_of(part, 4) for part in split_groups(torch.arange(objects), 0)))
    return ProbeDataset(
        "count", "x", "none", 0, inputs, labels, torch.arange(objects).repeat_interleave(4), split, inputs
    )


def _right(result: ProbeResult) -> float:
    return float((result.test.predicted == result.test.labels).float().mean())


@pytest.mark.parametrize("objects", [60, 5])
def test_ridge_is_scikit_learns(objects: int) -> None:
    dataset = _case(noise=1.0, objects=objects)
    dataset = dataset._replace(features=torch.cat([dataset.features, torch.randn(len(dataset.features), 20)], dim=1))
    targets = torch.stack([VALUES[dataset.labels], dataset.features[:, 0] ** 2], dim=1)
    dataset = to_principal_axes(dataset._replace(test_features=dataset.features))
    fit, rows = fit_ridge(dataset, targets, (0.1,)), dataset.features
    train = dataset.split.train
    theirs = TheirRidge(alpha=0.1 * len(train)).fit(rows[train], targets[train])
    expected = torch.from_numpy(theirs.predict(rows)).float()
    torch.testing.assert_close(fit.predict(dataset.features), expected, atol=1e-3, rtol=1e-4)


def test_ridge_reads_the_nearest_count() -> None:
    assert _right(Ridge(l2=(1e-6,)).evaluate([_case(noise=0.01)], VALUES, "cpu")[0]) == 1


def test_ridge_chooses_its_strength_on_validation_rows() -> None:
    dataset = _case(noise=0.01)
    assert Ridge(l2=(1e-6, 100.0)).evaluate([dataset], VALUES, "cpu")[0].setting == 1e-6


def test_the_most_accurate_strength_is_chosen_and_of_equals_the_one_of_least_loss() -> None:
    assert select_strength(torch.tensor([0.8, 0.9, 0.9]), torch.tensor([0.1, 3.0, 2.0])) == 2


@pytest.mark.slow
def test_the_default_linear_probe_has_converged() -> None:
    """Sums of views differ far more along one direction than along those that tell their number best."""
    settings = OmegaConf.load(CONF / "probe/probes/linear.yaml").linear
    objects, counts = 100, 6
    r = (torch.rand(objects, counts, 16) ** 2 * torch.rand(16)).cumsum(dim=1).flatten(0, 1)
    split = Split(*(rows_of(part, counts) for part in split_groups(torch.arange(objects), 0)))
    labels, owners = torch.arange(counts).repeat(objects), torch.arange(objects).repeat_interleave(counts)
    dataset = to_principal_axes(ProbeDataset("count", "r", "none", 0, r, labels, owners, split, r))
    usual, longer = (instantiate(settings, epochs=epochs).fit(dataset, counts) for epochs in (settings.epochs, 1000))
    for strength, ours, optimum in zip(
        settings.l2, _objective(usual, settings.l2), _objective(longer, settings.l2), strict=True
    ):
        assert ours - optimum < 1e-2, strength


def _objective(fit: LinearFit, l2: Sequence[float]) -> list[float]:
    """Return mean training loss and penalty of each strength, nats."""
    squares = fit.weights[..., :-1].double().square().sum(dim=(1, 2))
    return (fit.train_scores[-1, 0] + 0.5 * torch.tensor(list(l2)) * squares).tolist()


def test_neighbours_vote() -> None:
    probe = NearestNeighbours(neighbours=(1, 5), largest=1000)
    result = probe.evaluate([_case(noise=0.01)], VALUES, "cpu")[0]
    assert _right(result) == 1
    assert result.train is None
    assert _right(probe.evaluate([_case(noise=100.0)], VALUES, "cpu")[0]) < 0.5


def test_code_is_short_for_what_is_easy_and_no_shorter_than_uniform_for_noise() -> None:
    probe = Linear(epochs=60, l2=(1e-2,))
    easy, noise = (float(code_lengths(_case(noise=n), probe, classes=4).mean()) for n in (0.05, 1e4))
    assert easy < 1
    assert noise > math.log2(4) - 0.05


@pytest.mark.parametrize("strength", [1e-2, 1e-5])
def test_linear_comes_to_scikit_learns_optimum(strength: float) -> None:
    dataset = to_principal_axes(_case(noise=2.0))
    train = dataset.split.train
    fit = Linear(epochs=100, l2=(1e-1, strength)).fit(dataset, 4)
    rows, labels = dataset.features[train], dataset.labels[train]
    theirs = LogisticRegression(C=1 / (strength * len(train)), max_iter=5000, tol=1e-8).fit(rows, labels)
    expected = torch.from_numpy(theirs.predict_proba(rows)).float()
    torch.testing.assert_close(fit.logits(1, dataset.features[train]).softmax(dim=1), expected, atol=5e-3, rtol=0)
    assert fit.train_scores[-1, 0, 1] < fit.train_scores[0, 0, 1]


def test_a_nearly_dead_unit_is_not_blown_up() -> None:
    """One column fires for one training row: divided by its own deviation it would outweigh all others."""
    dataset = _case(noise=0.5)
    rare = torch.zeros(len(dataset.features), 1)
    rare[dataset.split.test[:4]] = 1e-3
    rare[dataset.split.train[0]] = 1e-6
    blown = dataset._replace(features=torch.cat([dataset.features, rare], dim=1))
    blown = blown._replace(test_features=blown.features)
    for probe in (Ridge(l2=(1e-3,)), Linear(epochs=100, l2=(1e-3,))):
        plain, other = (
            probe.evaluate([d._replace(test_features=d.features)], VALUES, "cpu")[0] for d in (dataset, blown)
        )
        assert torch.equal(plain.test.predicted, other.test.predicted)


def test_a_constant_column_is_left_out() -> None:
    assert column_moments(torch.tensor([[7.0, 1.0], [7.0, 2.0]]), torch.arange(2))[1].tolist() == [math.inf, 0.5]
    assert column_moments(torch.tensor([[1.0, 10.0], [2.0, 30.0]]), torch.arange(2), "column")[1].tolist() == [
        0.5,
        10.0,
    ]


def test_kernel_ridge_leaves_out_rows_exactly_and_keeps_targets_apart() -> None:
    rows = torch.randn(30, 50, dtype=torch.float64)
    values = torch.stack([rows[:, 0] + rows[:, 1], torch.randn(30, dtype=torch.float64)], dim=1)
    train = torch.arange(20)
    fit = KernelRidge(linear_kernel(rows), train, (0.1,))
    told, noise = fit.predict([Values(values[:, :1]), Values(values[:, 1:])])
    alpha = 0.1 * fit.scale  # in the units of the kernel
    others = train[train != 3]
    # centring on 19 rows rather than on 20 is part of leaving a row out
    again = TheirRidge(alpha=alpha).fit(rows[others], values[others, 0])
    assert float(told.left_out[3, 0]) == pytest.approx(float(again.predict(rows[3:4])[0]), abs=1e-6)
    mean = values[:20, 1:].mean()  # of noise the mean is all there is
    torch.testing.assert_close(noise.values[20:], mean.expand(10, 1))


def test_ridge_of_features_is_that_of_rows_and_streamed_probes_are_those_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = torch.randn(90, 12) @ torch.randn(12, 12) + 3
    kinds = (rows[:, 2] > 3).long() + (rows[:, 3] > 3).long()
    asked = Values(rows[:, :2] + torch.randn(90, 2)), Values(torch.randn(90, 1)), Classes(kinds, 3)
    train, strengths = torch.randperm(90)[:60], (1e-3, 1e-1, 10.0)
    whole = KernelRidge(linear_kernel(rows.double()), train, strengths).predict(asked)
    monkeypatch.setattr(ridge, "NUMBERS", 7 * 12)
    for module in (ridge, standardization, dataset_module, linear):
        monkeypatch.setattr(module, "CHUNK", 7)
    for ours, theirs in zip(PrimalRidge(rows, train, strengths).predict(asked), whole, strict=True):
        torch.testing.assert_close(tuple(ours), tuple(theirs), atol=1e-6, rtol=1e-6)
    monkeypatch.undo()
    case = _case(noise=2.0)
    case = case._replace(test_features=case.features)
    for probe, tolerance in ((Linear(epochs=60, l2=(1e-3, 1e-1)), 1e-4), (Ridge(l2=(1e-3, 1e-1)), 1e-6)):
        in_memory = probe.evaluate([case], VALUES, "cpu")[0]
        with monkeypatch.context() as few:
            for module in (ridge, standardization, dataset_module, linear):
                few.setattr(module, "CHUNK", 7)
            streamed = probe.evaluate([case._replace(scratch=tmp_path)], VALUES, "cpu")[0]
        assert streamed.setting == in_memory.setting
        likely = streamed.test.log_probability.exp(), in_memory.test.log_probability.exp()
        torch.testing.assert_close(*likely, atol=tolerance, rtol=tolerance)
    assert not list(tmp_path.iterdir())


def test_of_classes_the_strength_that_misreads_fewest_is_kept() -> None:
    """Three classes of unequal size that are told by a weak direction: the mean would name the largest alone."""
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 30)
    rows = one_hot(labels, 3) + 0.5 * torch.randn(120, 3)
    train = torch.randperm(120)[:90]
    (fit,) = KernelRidge(linear_kernel(rows), train, (1e-3, 1e4)).predict([Classes(labels, 3)])
    assert float((fit.values.argmax(dim=1) == labels).float().mean()) > 0.7


def test_gaussian_kernels_read_what_no_line_tells() -> None:
    rows = torch.randn(200, 2)
    values = (rows[:, :1] * rows[:, 1:]).sign()
    products = linear_kernel(rows)
    straight, curved = (
        KernelRidge(kernel, torch.arange(150), (1e-4, 1e-2, 1.0)).predict([Values(values)])[0].values[150:]
        for kernel in (products, gaussian_kernel(products, 0.5))
    )
    assert float(((straight - values[150:]) ** 2).mean()) > 0.9
    assert float(((curved - values[150:]) ** 2).mean()) < 0.6


def test_nearest_mean_reads_directions_alone() -> None:
    labels = torch.arange(4).repeat(60)
    angles = labels * 0.3 + 0.05 * torch.randn(240)
    rows = torch.stack([angles.cos(), angles.sin()], dim=1) * (0.1 + torch.rand(240, 1) * 9)
    dataset = _case(noise=1.0)._replace(features=rows, test_features=rows)
    assert _right(NearestMean(sharpness=100.0).evaluate([dataset], VALUES, "cpu")[0]) > 0.95


def test_a_tally_counts_without_having_seen_a_count() -> None:
    views = torch.rand(100, 16, 32) ** 2
    direction = tally_direction(views[:60].flatten(0, 1), views[60:80].flatten(0, 1))
    sums = views[80:].cumsum(dim=1)[:, 1:15].flatten(0, 1)
    read = tally(sums, direction, torch.arange(2.0, 16.0)).argmax(dim=1)
    assert float((read == torch.arange(14).repeat(20)).float().mean()) > 0.7
    signed = torch.randn(100, 16, 32)
    blind = tally_direction(signed[:60].flatten(0, 1), signed[60:80].flatten(0, 1))
    missed = tally(signed[80:].cumsum(dim=1)[:, 1:15].flatten(0, 1), blind, torch.arange(2.0, 16.0)).argmax(dim=1)
    assert float((missed == torch.arange(14).repeat(20)).float().mean()) < 0.2  # views that are no length sum to none
