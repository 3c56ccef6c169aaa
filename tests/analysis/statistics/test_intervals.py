"""Intervals and permutation tests against known answers and simulated truths."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, kstest, norm, ttest_1samp

from gqn_probe.analysis.inputs.view_selection import incoherent, mixing_groups
from gqn_probe.analysis.statistics.intervals import (
    ClusterSums,
    cluster_sums,
    intraclass_correlation,
    linear_combination,
    mean_interval,
    positive_mean_interval,
    proportion_difference,
    proportion_interval,
    r2_interval,
)
from gqn_probe.analysis.statistics.permutations import WithinObjectPermutations
from gqn_probe.results import Result


def _units(sums: list[float] | np.ndarray | torch.Tensor, rows: float) -> ClusterSums:
    sums = torch.as_tensor(sums, dtype=torch.float64)
    return ClusterSums(sums, torch.full_like(sums, rows))


def test_a_mean_has_the_t_interval() -> None:
    values = torch.randn(60, dtype=torch.float64) + 1
    theirs = ttest_1samp(values.numpy(), 0).confidence_interval(0.95)
    assert mean_interval(_units(values, 1.0))[1:] == pytest.approx((theirs.low, theirs.high))


def test_independent_rows_have_wilsons_interval() -> None:
    right = torch.zeros(4000)
    right[:3000] = 1
    theirs = binomtest(3000, 4000).proportion_ci(method="wilson")
    assert proportion_interval(_units(right, 1.0))[1:] == pytest.approx((theirs.low, theirs.high), abs=1e-3)


def test_rows_of_an_object_move_together() -> None:
    found = proportion_interval(_units([0.0, 10.0] * 20, 10.0))  # 40 objects of ten rows each, all right or all wrong
    assert found.value == 0.5
    assert found.high - found.low == pytest.approx(2 * 2.02 * 0.5 / 40**0.5, rel=0.1)


def test_no_error_in_few_objects_is_no_certainty() -> None:
    found = proportion_interval(_units([14.0] * 6, 14.0))
    assert found.high == pytest.approx(1)
    assert found.low < 0.6
    assert proportion_difference(_units([14.0] * 6, 14.0), _units([14.0] * 6, 14.0)).low < -0.3


def test_paired_differences_are_narrow_where_objects_differ() -> None:
    """Objects differ a lot, and each loses one row in ten: unpaired intervals would overlap by far."""
    full = torch.tensor([9.0] * 20 + [4.0] * 20)
    found = proportion_difference(_units(full - 1, 10.0), _units(full, 10.0))
    assert found.value == pytest.approx(-0.1)
    assert -0.13 < found.low <= found.high < -0.07
    assert linear_combination((_units(full - 1, 10.0), _units(full, 10.0)), (1, -1))[1:] == pytest.approx((-0.1, -0.1))


def test_one_cluster_alone_has_no_interval_of_a_mean() -> None:
    """Not one of width 0, by which any difference would be shown."""
    one = _units([3.0, 0.0], 4.0)._replace(rows=torch.tensor([4.0, 0.0], dtype=torch.float64))
    for found in (mean_interval(one), positive_mean_interval(one), r2_interval(one), linear_combination([one], [1])):
        assert found.bounds == (None, None)
        assert Result.pooled(("count", "r", "none", "linear"), "loss", found, n=4).low is None
    assert np.ptp(proportion_interval(one)[1:]) > 0.8


def test_encoders_widen_a_paired_difference_however_alike_the_objects_are() -> None:
    """Objects are as easy for both networks, which differ by what is drawn of ten encoders."""
    encoder, ease = torch.arange(300) % 10, torch.arange(300) // 10 % 10.0
    trained = _units(ease + 3, 14.0)
    untrained = _units(ease + 2 + 0.3 * (encoder - 4.5), 14.0)._replace(encoder=encoder)
    found, needed = proportion_difference(trained, untrained), linear_combination((trained, untrained), (1, -1))
    assert found.high - found.low == pytest.approx(needed.high - needed.low, rel=0.15)


def test_few_encoders_widen_an_interval() -> None:
    right = torch.tensor([8.0, 8.0, 5.0, 5.0, 2.0, 2.0] * 10)
    alone = _units(right, 10.0)
    crossed = alone._replace(encoder=torch.tensor([0, 0, 1, 1, 2, 2] * 10))
    assert np.ptp(proportion_interval(crossed)[1:]) > 3 * np.ptp(proportion_interval(alone)[1:])


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
            found = proportion_interval(_units(random.binomial(14, easy), 14.0))
            held.append(found.low <= accuracy <= found.high)
    assert 0.92 <= np.mean(held) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("objects", [20, 60, 300])
@pytest.mark.parametrize("accuracy", [0.6, 0.9, 0.99])
def test_coverage_of_differences(accuracy: float, objects: int) -> None:
    random, held = np.random.default_rng(0), []
    for _ in range(1000):
        easy = random.beta(9 * accuracy, 9 * (1 - accuracy), objects)
        first, second = (random.binomial(14, share * easy) for share in (1.0, 0.95))
        found = proportion_difference(_units(first, 14.0), _units(second, 14.0))
        held.append(found.low <= 0.05 * accuracy <= found.high)
    assert 0.92 <= np.mean(held) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("objects", [20, 60, 300])
@pytest.mark.parametrize("told", [0.0, 0.5, 0.9])
def test_coverage_of_r2_and_its_differences(told: float, objects: int) -> None:
    """Six values an object, of which one reading tells ``told`` and another half of what is left."""
    random, held, apart = np.random.default_rng(0), [], []
    more = told + 0.5 * (1 - told)
    for _ in range(1000):
        values = random.normal(size=(objects, 6))
        noise = random.normal(size=(objects, 6))
        missed = [((1 - share) ** 0.5 * noise * random.gamma(4, 1 / 20**0.5, (objects, 1))) for share in (told, more)]
        deviations = torch.from_numpy((values**2).sum(axis=1))
        worse, better = (ClusterSums(torch.from_numpy((each**2).sum(axis=1)), deviations) for each in missed)
        found, difference = r2_interval(worse), linear_combination((worse, better), (1, -1))
        held.append(found.low <= told <= found.high)
        apart.append(difference.low <= more - told <= difference.high)
    assert 0.92 <= np.mean(held) <= 0.98
    assert 0.92 <= np.mean(apart) <= 0.98


STRATA = torch.arange(14).repeat(20 * 15)  # counts of 15 objects in each of 20 groups
GROUPS = torch.arange(20).repeat_interleave(15 * 14)


def _read(margins: np.ndarray) -> ClusterSums:
    """Rows that are right where their margin is above 0."""
    flat = torch.from_numpy(margins).flatten()
    found = cluster_sums((flat > 0).double(), GROUPS, 20)
    return found._replace(icc=intraclass_correlation(flat, GROUPS, STRATA)) if (flat > 0).all() else found


def _margins(random: np.random.Generator, of_group: float) -> np.ndarray:
    """Of unit variance; groups, objects and rows differ."""
    parts = [random.normal(size=shape) for shape in ((20, 1, 1), (20, 15, 1), (20, 15, 14))]
    shares = (of_group, 0.1, 0.9 - of_group)
    return sum(share**0.5 * part for share, part in zip(shares, parts, strict=True))  # pyright: ignore[reportReturnType]


def test_margins_tell_how_much_rows_without_an_error_tell() -> None:
    random = np.random.default_rng(0)
    for of_group, low, high in ((0.0, 0.997, 0.9995), (0.2, 0.92, 0.99), (0.9, 0.8, 0.87)):
        found = proportion_interval(_read(_margins(random, of_group) + 9.0))
        assert low < found.low < high
        assert found.high == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("of_group", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("transfer", [0.9, 0.98, 0.999])
def test_coverage_of_transfer(transfer: float, of_group: float) -> None:
    """Mixtures less scenes at the ceiling, in 20 groups of 15 objects at 14 counts."""
    random, held, widths = np.random.default_rng(0), [], []
    for _ in range(400):
        shared, *own = (_margins(random, of_group) for _ in range(3))
        read = [_read((shared + each) / 2**0.5 + norm.ppf(p)) for each, p in zip(own, (transfer, 0.999), strict=True)]
        found = proportion_difference(*read)
        held.append(found.low <= transfer - 0.999 <= found.high)
        widths.append(found.high - found.low)
    # above .98 where errors are too few to say how much rows have in common
    assert np.mean(held) >= 0.92
    assert np.median(widths) < (0.12 if of_group == 0.3 else 0.05)


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
            found = mean_interval(cluster_sums(values.flatten(), units, int(own.max()) + 1))
            held[name] += found.low <= 0.5 <= found.high
    assert held["group"] >= 53
    assert held["object"] < held["group"] - 5, held


def test_p_counts_permutations_that_do_as_well() -> None:
    labels = torch.arange(3).expand(4, 3)
    permutations = WithinObjectPermutations(9, 3, permutations=199, seed=0)
    objects = torch.tensor([1, 3, 5, 8])
    assert permutations.p_value(labels, labels, objects, objects) == pytest.approx(1 / 200, abs=0.02)
    assert permutations.p_value(labels, labels.roll(1, dims=1), objects, objects) == 1.0  # no row is right


def test_p_is_uniform_under_the_null() -> None:
    permutations = WithinObjectPermutations(80, 14, permutations=200, seed=0)
    labels, objects = torch.arange(14).expand(80, 14), torch.arange(80)
    found = [permutations.p_value(labels, torch.randint(14, (80, 14)), objects, objects) for _ in range(200)]
    assert kstest(found, "uniform").pvalue > 0.01


def test_p_is_uniform_under_the_null_where_objects_of_a_group_are_read_alike() -> None:
    """Mixtures of a group share views, and with them what is read at each count."""
    permutations = WithinObjectPermutations(80, 6, permutations=100, seed=0)
    labels, objects, random = torch.arange(6).expand(80, 6), torch.arange(80), np.random.default_rng(0)
    low = {"object": 0, "group": 0}
    for _ in range(100):
        predicted = torch.from_numpy(random.permuted(np.tile(np.arange(6), (4, 1)), axis=1)).repeat_interleave(20, 0)
        low["object"] += permutations.p_value(labels, predicted, objects, objects) <= 0.05
        low["group"] += permutations.p_value(labels, predicted, objects, objects // 20) <= 0.05
    assert low["group"] <= 12
    assert low["object"] > 20


def test_intervals_stay_where_the_estimand_can_be() -> None:
    """Accuracies are at most 1, to the last bit; code lengths are positive, though their interval is wide."""
    for rows in range(1, 60):
        certain = ClusterSums(torch.full((rows,), 3.0), torch.full((rows,), 3.0), icc=0.3)
        assert proportion_interval(certain).high == 1
    bits = ClusterSums(torch.tensor([0.0] * 9 + [1.0]), torch.ones(10))
    assert mean_interval(bits).low < 0 < positive_mean_interval(bits).low < 0.1 < positive_mean_interval(bits).high
