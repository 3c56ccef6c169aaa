"""Bootstrap over objects and permutations within them, against known answers."""

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap, kstest

from gqn_probe.analysis.intervals import ObjectBootstrap, WithinObjectPermutations


def test_interval_agrees_with_scipy() -> None:
    values = torch.randn(60, 1) + 1
    ours = ObjectBootstrap(60, resamples=10000, seed=0).intervals(values, torch.ones(60, 1))[0]
    theirs = bootstrap((values[:, 0].numpy(),), np.mean, method="percentile", rng=np.random.default_rng(0))
    assert ours.value == pytest.approx(float(values.mean()))
    assert ours[1:] == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)


def test_rows_of_an_object_move_together() -> None:
    right = torch.tensor([[0.0], [10.0]] * 20)  # 40 objects of ten rows each, all right or all wrong
    found = ObjectBootstrap(40, resamples=4000, seed=0).intervals(right, torch.full((40, 1), 10.0))[0]
    assert found.value == 0.5
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.5 / 40**0.5, rel=0.1)


def test_every_resample_draws_as_many_objects() -> None:
    draws = ObjectBootstrap(33, resamples=700, seed=1).draws
    assert (draws.long().sum(dim=1) == 33).all()


def test_p_counts_permutations_that_do_as_well() -> None:
    labels = torch.arange(3).expand(4, 3)
    permutations = WithinObjectPermutations(9, 3, permutations=199, seed=0)
    objects = torch.tensor([1, 3, 5, 8])
    assert permutations.p_value(labels, labels, objects) == pytest.approx(1 / 200, abs=0.02)
    assert permutations.p_value(labels, labels.roll(1, dims=1), objects) == 1.0  # no row is right


def test_p_is_uniform_under_the_null() -> None:
    permutations = WithinObjectPermutations(80, 14, permutations=200, seed=0)
    labels, objects = torch.arange(14).expand(80, 14), torch.arange(80)
    found = [permutations.p_value(labels, torch.randint(14, (80, 14)), objects) for _ in range(200)]
    assert kstest(found, "uniform").pvalue > 0.01
