"""Bootstrap over objects and permutations within them, against known answers."""

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap, kstest

from gqn_probe.analysis.inputs.view_selection import incoherent, mixing_groups
from gqn_probe.analysis.statistics.bootstrap import ObjectBootstrap, WithinObjectPermutations


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


def test_objects_of_a_group_are_drawn_together() -> None:
    groups = torch.tensor([2, 0, 1, 0, 2, 1])
    draws = ObjectBootstrap(6, resamples=50, seed=0, groups=groups).draws
    assert torch.equal(draws[:, 1], draws[:, 3])
    assert torch.equal(draws[:, 0], draws[:, 4])
    assert (draws.long().sum(dim=1) == 6).all()


@pytest.mark.slow
def test_intervals_of_mixtures_hold_what_they_should() -> None:
    """Objects differ in how well sums with them are read; intervals that take rows for independent hold it less."""
    objects, counts, held = 120, (4, 8, 12), {"object": 0, "group": 0}
    for study in range(60):
        groups = mixing_groups(objects, 12, study)
        members = [incoherent(objects, 12, count, study, groups).scenes for count in counts]
        ease = torch.randn(objects) * 0.5
        right = torch.stack([0.5 + ease[rows].mean(dim=1) for rows in members], dim=1).sum(dim=1, keepdim=True)
        rows = torch.full((objects, 1), float(len(counts)))
        for name, own in (("object", None), ("group", groups)):
            found = ObjectBootstrap(objects, resamples=300, seed=study, groups=own).intervals(right, rows)[0]
            held[name] += found.low <= 0.5 <= found.high
    assert held["group"] >= 50  # ten groups: a percentile interval of 95 % holds it about nine times in ten
    assert held["object"] < held["group"] - 5, held


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
