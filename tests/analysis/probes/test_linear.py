"""Ridge, neighbours and the online code on rows whose answer is known."""

import math
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sklearn.linear_model import Ridge as TheirRidge

from gqn_probe.analysis.probes.dataset import ProbeDataset
from gqn_probe.analysis.probes.knn import Neighbours
from gqn_probe.analysis.probes.linear import ProbeResult, Softmax, best
from gqn_probe.analysis.probes.mdl import code_lengths
from gqn_probe.analysis.probes.ridge import Ridge, fit_ridge
from gqn_probe.analysis.questions.splits import Split, rows_of, split_groups

CONF = Path(__file__).parents[2] / "conf"
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
    fit = fit_ridge(dataset.features, targets, dataset.split.train, dataset.split.validation, (0.1,))
    standard = (dataset.features - fit.mean) / fit.scale
    train = dataset.split.train
    theirs = TheirRidge(alpha=0.1 * len(train)).fit(standard[train], targets[train])
    expected = torch.from_numpy(theirs.predict(standard)).float()
    torch.testing.assert_close(fit.predict(dataset.features), expected, atol=1e-3, rtol=1e-4)


def test_ridge_reads_the_nearest_count() -> None:
    assert _right(Ridge(l2=(1e-6,)).evaluate([_case(noise=0.01)], VALUES, "cpu")[0]) == 1


def test_ridge_chooses_its_strength_on_validation_rows() -> None:
    dataset = _case(noise=0.01)
    assert Ridge(l2=(1e-6, 100.0)).evaluate([dataset], VALUES, "cpu")[0].setting == 1e-6


def test_the_most_accurate_strength_is_chosen_and_of_equals_the_one_of_least_loss() -> None:
    assert best(torch.tensor([0.8, 0.9, 0.9]), torch.tensor([0.1, 3.0, 2.0])) == 2


@pytest.mark.slow
def test_the_default_linear_probe_has_converged() -> None:
    """Sums of views differ far more along one direction than along those that tell their number best."""
    settings = OmegaConf.load(CONF / "probe/probes/linear.yaml").linear
    objects, counts = 100, 6
    r = (torch.rand(objects, counts, 16) ** 2 * torch.rand(16)).cumsum(dim=1).flatten(0, 1)
    split = Split(*(rows_of(part, counts) for part in split_groups(torch.arange(objects), 0)))
    labels, owners = torch.arange(counts).repeat(objects), torch.arange(objects).repeat_interleave(counts)
    dataset = ProbeDataset("count", "r", "none", 0, r, labels, owners, split, r)
    usual, longer = (
        _right(instantiate(settings, epochs=epochs).evaluate([dataset], labels.unique().float(), "cpu")[0])
        for epochs in (settings.epochs, 4 * settings.epochs)
    )
    assert usual > 0.5
    assert abs(usual - longer) < 0.02


def test_neighbours_vote() -> None:
    probe = Neighbours(neighbours=(1, 5), largest=1000)
    result = probe.evaluate([_case(noise=0.01)], VALUES, "cpu")[0]
    assert _right(result) == 1
    assert result.train is None
    assert _right(probe.evaluate([_case(noise=100.0)], VALUES, "cpu")[0]) < 0.5


def test_code_is_short_for_what_is_easy_and_no_shorter_than_uniform_for_noise() -> None:
    probe = Softmax(epochs=20, batch_size=64, learning_rate=0.3, l2=(1e-2,), principal=True)
    lengths = code_lengths([_case(noise=0.05), _case(noise=1e4)], probe, classes=4, device="cpu")
    assert lengths[0] < 1
    assert lengths[1] > math.log2(4) - 0.05
