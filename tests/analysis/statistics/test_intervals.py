"""Intervals and permutation tests against known answers and simulated truths."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, kstest, ttest_1samp

from gqn_probe.analysis.inputs.view_selection import incoherent, mixing_groups
from gqn_probe.analysis.statistics.intervals import (
    UnitSums,
    combination,
    mean_interval,
    share_difference,
    share_interval,
    unit_sums,
)
from gqn_probe.analysis.statistics.permutations import WithinObjectPermutations


def _units(sums: list[float] | np.ndarray | torch.Tensor, rows: float) -> UnitSums:
    sums = torch.as_tensor(sums, dtype=torch.float64)
    return UnitSums(sums, torch.full_like(sums, rows))


def test_a_mean_has_the_t_interval() -> None:
    values = torch.randn(60, dtype=torch.float64) + 1
    theirs = ttest_1samp(values.numpy(), 0).confidence_interval(0.95)
    assert mean_interval(_units(values, 1.0))[1:] == pytest.approx((theirs.low, theirs.high))


def test_independent_rows_have_wilsons_interval() -> None:
    right = torch.zeros(4000)
    right[:3000] = 1
    theirs = binomtest(3000, 4000).proportion_ci(method="wilson")
    assert share_interval(_units(right, 1.0))[1:] == pytest.approx((theirs.low, theirs.high), abs=1e-3)


def test_rows_of_an_object_move_together() -> None:
    found = share_interval(_units([0.0, 10.0] * 20, 10.0))  # 40 objects of ten rows each, all right or all wrong
    assert found.value == 0.5
    assert found.high - found.low == pytest.approx(2 * 2.02 * 0.5 / 40**0.5, rel=0.1)


def test_no_error_in_few_objects_is_no_certainty() -> None:
    found = share_interval(_units([14.0] * 6, 14.0))
    assert found.high == pytest.approx(1)
    assert found.low < 0.6
    assert share_difference(_units([14.0] * 6, 14.0), _units([14.0] * 6, 14.0)).low < -0.3


def test_paired_differences_are_narrow_where_objects_differ() -> None:
    """Objects differ a lot, and each loses one row in ten: unpaired intervals would overlap by far."""
    full = torch.tensor([9.0] * 20 + [4.0] * 20)
    found = share_difference(_units(full - 1, 10.0), _units(full, 10.0))
    assert found.value == pytest.approx(-0.1)
    assert -0.13 < found.low <= found.high < -0.07
    assert combination((_units(full - 1, 10.0), _units(full, 10.0)), (1, -1))[1:] == pytest.approx((-0.1, -0.1))


def test_few_encoders_widen_an_interval() -> None:
    right = torch.tensor([8.0, 8.0, 5.0, 5.0, 2.0, 2.0] * 10)
    alone = _units(right, 10.0)
    crossed = alone._replace(encoder=torch.tensor([0, 0, 1, 1, 2, 2] * 10))
    assert np.ptp(share_interval(crossed)[1:]) > 3 * np.ptp(share_interval(alone)[1:])


@pytest.mark.slow
@pytest.mark.parametrize("objects", [20, 60, 300])
@pytest.mark.parametrize("accuracy", [0.55, 0.9, 0.99, 0.999])
def test_coverage_of_shares(accuracy: float, objects: int) -> None:
    """14 rows an object; objects are alike, or differ in how well they are read (a beta distribution)."""
    random, held = np.random.default_rng(0), []
    for spread in (0.0, 0.1):
        for _ in range(1000):
            easy = np.full(objects, accuracy)
            if spread:
                weight = 1 / spread - 1
                easy = random.beta(accuracy * weight, (1 - accuracy) * weight, objects)
            found = share_interval(_units(random.binomial(14, easy), 14.0))
            held.append(found.low <= accuracy <= found.high)
    assert 0.92 <= np.mean(held) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", [0.6, 0.99])
def test_coverage_of_differences(accuracy: float) -> None:
    random, held = np.random.default_rng(0), []
    for _ in range(1000):
        easy = random.beta(9 * accuracy, 9 * (1 - accuracy), 60)
        first, second = (random.binomial(14, share * easy) for share in (1.0, 0.95))
        found = share_difference(_units(first, 14.0), _units(second, 14.0))
        held.append(found.low <= 0.05 * accuracy <= found.high)
    assert 0.92 <= np.mean(held) <= 0.985


@pytest.mark.slow
def test_intervals_of_mixtures_hold_what_they_should() -> None:
    """Objects differ in how well sums with them are read; intervals that take objects for independent hold it less."""
    objects, counts, held = 120, (4, 8, 12), {"object": 0, "group": 0}
    for study in range(60):
        groups = mixing_groups(objects, 12, study)
        members = [incoherent(objects, 12, count, study, groups).scenes for count in counts]
        ease = torch.randn(objects) * 0.5
        values = torch.stack([0.5 + ease[rows].mean(dim=1) for rows in members], dim=1)
        for name, own in (("object", torch.arange(objects)), ("group", groups)):
            units = own.repeat_interleave(len(counts))
            found = mean_interval(unit_sums(values.flatten(), units, int(own.max()) + 1))
            held[name] += found.low <= 0.5 <= found.high
    assert held["group"] >= 53
    assert held["object"] < held["group"] - 5, held


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
