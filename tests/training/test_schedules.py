"""Schedules are pure functions of the step."""

import pytest

from gqn_probe.training.schedules import Schedule, as_schedule


def test_linear_is_the_papers_pixel_deviation():
    sigma = Schedule(start=2.0, end=0.7, steps=200_000)
    assert sigma(0) == 2.0
    assert sigma(100_000) == pytest.approx(1.35)
    assert sigma(200_000) == sigma(2_000_000) == 0.7


def test_cosine_after_warmup():
    rate = Schedule(start=1.0, end=0.0, steps=110, shape="cosine", warmup=10)
    assert rate(0) == pytest.approx(1 / 11)
    assert rate(10) == 1.0
    assert rate(60) == pytest.approx(0.5)
    assert rate(110) == pytest.approx(0.0)


def test_geometric_after_a_hold_has_equal_ratios():
    sigma = Schedule(start=1.0, end=0.01, steps=100, shape="geometric", hold=0.5)
    assert [sigma(step) for step in (0, 50, 75, 100, 200)] == pytest.approx([1.0, 1.0, 0.1, 0.01, 0.01])


def test_a_run_shorter_than_its_warmup_only_warms_up():
    rate = Schedule(start=1.0, end=0.0, steps=3, warmup=9)
    assert [rate(step) for step in range(3)] == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    "values", [{"steps": 0}, {"steps": 5, "warmup": -1}, {"steps": 5, "shape": "step"}, {"steps": 5, "hold": 1.0}]
)
def test_refuses_what_is_no_schedule(values):
    with pytest.raises(ValueError, match="schedule"):
        Schedule(start=1.0, end=0.0, **values)
    with pytest.raises(ValueError, match=r"end=0\.0"):
        Schedule(start=1.0, end=0.0, steps=5, shape="geometric")


def test_a_number_is_a_constant_schedule():
    schedule = as_schedule("sigma", 1.5)
    assert schedule(0) == schedule(10**6) == 1.5
    assert as_schedule("sigma", schedule) is schedule
    for strange in ("abc", None, True):
        with pytest.raises(ValueError, match=f"training.sigma={strange} is neither a number nor a schedule"):
            as_schedule("sigma", strange)
