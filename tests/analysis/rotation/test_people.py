"""Simulated people of a known answer: slopes, accuracies, items and the ceiling of their correlation."""

import csv

import numpy as np
import pytest

from gqn_probe.analysis.rotation import people
from gqn_probe.analysis.rotation.people import behaviour_rows, item_rows, read_trials
from gqn_probe.results import Result

OBJECTS = [f"3_4_3_{n}" for n in range(12)]
ANGLES = (0, 50, 100, 150)
PEOPLE = 20


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Times rise by 15 ms a degree and by what an item has of its own; a tenth of answers at 150 degrees is wrong."""
    rng = np.random.default_rng(0)
    own = rng.normal(size=(len(ANGLES), 2, len(OBJECTS)))
    own -= own.mean(axis=2, keepdims=True)  # so that items do not add to the slope
    hard = {
        (o, a, s): own[j, int(s), i] for i, o in enumerate(OBJECTS) for j, a in enumerate(ANGLES) for s in (True, False)
    }
    path = tmp_path_factory.mktemp("people") / "trials.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("subject", "stimulus", "angle", "rt", "correct"))
        for person in range(PEOPLE):
            speed = rng.normal(0, 300)
            for (o, a, s), item in hard.items():
                rt = 1500 + speed + 15 * a + 200 * item + rng.normal(0, 300)
                correct = int(a < 150 or rng.random() > 0.1)
                out.writerow((person, f"{'' if s else 'R'}{o}Y{a}.pct", a, max(rt, 1), correct))
    return read_trials(path, OBJECTS), hard


def covers(row: Result, truth: float) -> bool:
    assert row.low is not None
    assert row.high is not None
    return row.low < truth < row.high


def test_their_times_rise_as_planted(simulated):
    rows = {(row.metric, row.angle): row for row in behaviour_rows(simulated[0])}
    slope = rows["rt_slope", None]
    assert covers(slope, 15)
    assert abs(slope.value - 15) < 2
    assert rows["accuracy", 0.0].value == 1
    assert covers(rows["accuracy", 150.0], 0.9)
    assert rows["rt", 150.0].value - rows["rt", 0.0].value == pytest.approx(15 * 150, rel=0.1)


def test_items_that_people_find_hard_are_found_up_to_their_ceiling(simulated):
    trials, hard = simulated
    rows = {row.metric: row for row in item_rows(trials, hard, ("people", "whole", "none", "distance"), 0)}
    found, ceiling = rows["item_times_within"], rows["item_times_within_ceiling"]
    assert found.value == pytest.approx(ceiling.value, abs=0.04)
    assert 0.9 < ceiling.value < 1
    assert found.n == len(hard)


def test_what_shares_nothing_with_people_does_not_correlate(simulated):
    trials, hard = simulated
    rng = np.random.default_rng(1)
    other = {item: rng.normal() for item in hard}
    rows = {row.metric: row for row in item_rows(trials, other, ("people", "whole", "none", "distance"), 0)}
    assert covers(rows["item_times_within"], 0)


@pytest.mark.parametrize(
    ("head", "row", "message"),
    [
        ("subject,stimulus,angle,correct", "1,3_4_3_0,0,1", "lacks the column rt"),
        ("subject,stimulus,angle,rt,correct", "1,3_4_3_0,0,-5,1", "rt=-5"),
        ("subject,stimulus,angle,rt,correct", "1,3_4_3_0,0,900,yes", "line 2 is not a trial"),
        ("subject,stimulus,angle,rt,correct", "1,cube,0,900,1", "no stimulus of .* is the name of an object"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, head, row, message):
    path = tmp_path / "trials.csv"
    path.write_text(f"{head}\n{row}\n")
    with pytest.raises(ValueError, match=message):
        read_trials(path, OBJECTS)


def test_intervals_of_few_objects_hold_what_is_true():
    """Items of one object are alike, so that 8 objects are few: of 100 samples, 95 % cover the true correlation."""
    rng, items = np.random.default_rng(1), 6
    covered = 0
    for _ in range(100):
        both = 0.9 * rng.normal(size=(8, 1, 2)) + 0.44 * rng.normal(size=(8, items, 2))
        x, y = both[..., 0], 0.6 * both[..., 0] + 0.8 * both[..., 1]
        owners = np.repeat(np.arange(8), items)
        found = float(np.corrcoef(x.ravel(), y.ravel())[0, 1])
        low, high = people._jackknife(found, x.ravel(), y.ravel(), owners)
        covered += low <= 0.6 <= high
    assert 90 <= covered <= 99
