"""The sentence follows the numbers, and names the probe and the input."""

import torch

from gqn_probe.analysis.probes.predictions import Predictions
from gqn_probe.analysis.statistics.bootstrap import Interval, ObjectBootstrap
from gqn_probe.analysis.statistics.headline import Headline

HIGH, LOW, GUESS = Interval(0.8, 0.7, 0.9), Interval(0.5, 0.4, 0.6), Interval(0.08, 0.05, 0.11)
MORE = (0.3, 0.2, 0.4)


def _sentence(
    full: Interval,
    difference: tuple[float, float, float],
    transfer: tuple[float, float, float] | None = None,
    probe: str = "linear",
    given: str = "pooled",
) -> str:
    foreign = Interval(*transfer) if transfer else None
    return Headline(probe, given, full, LOW, Interval(*difference), foreign, 0.07).sentence(60)


def test_more_than_length() -> None:
    sentence = _sentence(HIGH, MORE)
    assert sentence.startswith("The linear probe names the count with accuracy 80.0% (70.0% to 90.0%) on 60 unseen")
    assert "r tells its count by more than its length (+30.0 points, +20.0 to +40.0)." in sentence


def test_no_more_than_length() -> None:
    assert "cannot be shown" in _sentence(HIGH, (0.1, -0.1, 0.3))
    assert "no more than its length" in _sentence(HIGH, (-0.2, -0.3, -0.1))


def test_guessing_is_called_guessing() -> None:
    sentence = _sentence(GUESS, (0.0, -0.1, 0.1))
    assert "on 60 unseen objects: that r tells its count cannot be shown (guessing: 7.0%)." in sentence


def test_no_number_is_minus_zero() -> None:
    assert "(+5.0 points, +0.0 to +10.6)" in _sentence(HIGH, (0.05, -0.0004, 0.106))


def test_the_probe_and_an_input_that_is_not_r_are_named() -> None:
    for full, difference in ((HIGH, MORE), (HIGH, (0.1, -0.1, 0.3)), (HIGH, (-0.2, -0.3, -0.1)), (GUESS, MORE)):
        sentence = _sentence(full, difference, probe="knn", given="layer.conv4")
        assert sentence.startswith("The knn probe on layer.conv4 names the count")
        assert sentence.count("layer.conv4") == 2, sentence
        assert " r " not in sentence


def test_a_tally_is_what_cannot_be_told_from_sums_of_different_objects() -> None:
    assert "read as well (-0.5 points, -1.2 to +0.2), so" in _sentence(HIGH, MORE, (-0.005, -0.012, 0.002))
    assert "a tally of views" in _sentence(HIGH, MORE, (0.05, 0.03, 0.07))


def test_few_objects_are_no_evidence_of_a_tally() -> None:
    sentence = _sentence(HIGH, MORE, (-0.2, -0.41, 0.005))
    assert "whether sums of views of different objects are read as well cannot be told (-20.0 points" in sentence
    assert "tally" not in sentence


def test_no_tally_without_the_control() -> None:
    assert "tally" not in _sentence(HIGH, MORE)


def test_what_is_read_less_well_is_told_in_points_however_few() -> None:
    sentence = _sentence(HIGH, MORE, (-0.02, -0.03, -0.01))
    assert "read 2.0 points less well (1.0 to 3.0)." in sentence
    assert "tally" not in sentence


def _readings(rows_right: torch.Tensor) -> Predictions:
    """Rows of objects, an object a row of the table, read as class 1 where right; all of class 1."""
    objects = torch.arange(len(rows_right)).repeat_interleave(rows_right.shape[1])
    predicted = rows_right.flatten().long()
    return Predictions(objects, torch.ones_like(predicted), predicted, torch.zeros(len(predicted), 0))


def test_transfer_is_compared_object_by_object() -> None:
    """Objects differ a lot, and each loses one row in ten: unpaired intervals would overlap by far."""
    full = torch.zeros(40, 10)
    full[:20, :9], full[20:, :4] = 1, 1
    foreign = full.clone()
    foreign[:, 0] = 0
    predictions = {"none": _readings(full), "norm": _readings(0 * full), "transfer": _readings(foreign)}
    bootstrap = ObjectBootstrap(40, resamples=200, seed=0)
    names = {"full": "none", "norm": "norm", "probe": "linear", "input": "pooled"}
    headline = Headline.of(predictions, bootstrap, bootstrap, chance=0.1, **names)
    assert "read 10.0 points less well (10.0 to 10.0)" in headline.sentence(40)
    assert round(headline.values()["transfer"], 6) == -0.1
