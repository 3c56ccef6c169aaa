"""Each sentence follows its evidence: the planted cases in which a difference of two probes would mislead."""

from gqn_probe.analysis.statistics.headline import (
    CountEvidence,
    TargetChange,
    count_answer,
    images_answer,
    training_answer,
)
from gqn_probe.results import Interval

CERTAIN, GUESS = Interval(1.0, 0.98, 1.0), Interval(0.08, 0.05, 0.11)
SAME = Interval(0.0, -0.01, 0.01)


def _evidence(**changes) -> CountEvidence:
    found = CountEvidence(
        probe="linear", input="whole", objects=60, counts=14, accuracy=CERTAIN, norm_only=Interval(0.7, 0.65, 0.75),
        difference=Interval(0.3, 0.25, 0.35), direction=GUESS, tally=CERTAIN, tally_difference=SAME,
        untrained=CERTAIN, transfer=SAME, groups=20,
    )  # fmt: skip
    return found._replace(**changes)


def _sentence(**changes) -> str:
    """With what licenses it, as people read it."""
    answer = count_answer(_evidence(**changes))
    return f"{answer.text} {answer.licence}"


def test_what_a_tally_reads_needs_no_more_than_a_sum() -> None:
    answer = count_answer(_evidence())
    assert "any sum of non-negative views can be counted" in answer.text
    assert answer.text == (
        "Yes. From r of 60 unseen objects, the linear probe names the number of images rightly in 100.0% (98.0% to "
        "100.0%; guessing: 7.1%) of cases. But a tally that has seen single images alone, and no number, is right in "
        "100.0% (98.0% to 100.0%), since any sum of non-negative views can be counted. From networks that were never "
        "trained it can be read in 100.0% (98.0% to 100.0%)."
    )
    assert answer.licence.startswith("the label-free tally")
    assert answer[2:5] == CERTAIN
    assert "the probe counts how many views were summed" in answer.licence


def test_direction_alone_tells_the_count_though_length_does_too() -> None:
    """r / |r| reads 99.8 %, the length 100 %: a difference of the probes would say that nothing more is told."""
    text = _sentence(
        norm_only=CERTAIN, difference=SAME, direction=Interval(0.998, 0.99, 1.0), tally=None, tally_difference=None
    )
    assert "the direction, which has no length, 99.8%" in text
    assert "no more than" not in text
    assert "cannot be shown" not in text


def test_a_probe_that_misses_the_length_reads_something_else() -> None:
    """One channel that is independent of |r| gives 61 %, the length 100 %."""
    text = _sentence(
        accuracy=Interval(0.61, 0.57, 0.65), norm_only=CERTAIN, difference=Interval(-0.39, -0.43, -0.35),
        direction=Interval(0.61, 0.57, 0.65), tally=GUESS, tally_difference=Interval(-0.53, -0.57, -0.49),
        transfer=None,
    )  # fmt: skip
    assert "no more than" not in text
    assert "the direction, which has no length, 61.0%" in text
    assert "any sum" not in text


def test_no_tally_of_what_is_no_sum() -> None:
    """An averaging network, or an input such as a generator's state."""
    text = _sentence(input="hidden.2", tally=None, tally_difference=None)
    assert "From hidden.2 of" in text
    assert "sum of non-negative" not in text
    assert "counts how many" not in text


def test_mixtures_are_better_worse_as_well_or_unknown() -> None:
    assert "different objects are read better (+5.0 points, +3.0 to +7.0)" in _sentence(
        transfer=Interval(0.05, 0.03, 0.07)
    )
    assert "read less well (-2.0 points, -3.0 to -1.0)" in _sentence(transfer=Interval(-0.02, -0.03, -0.01))
    assert "cannot be told (-20.0 points" in _sentence(transfer=Interval(-0.2, -0.41, 0.005))
    assert "different objects" not in _sentence(groups=9)
    assert "different objects" not in _sentence(transfer=None)


def test_guessing_is_called_guessing() -> None:
    text = _sentence(accuracy=GUESS, direction=None)
    assert text.startswith("That is not shown. From r of 60 unseen objects, the linear probe names")
    assert "8.0% (5.0% to 11.0%; guessing: 7.1%)" in text


def test_no_number_is_minus_zero() -> None:
    assert "(+5.0 points, +0.0 to +10.6)" in _sentence(transfer=Interval(0.05, -0.0004, 0.106))


def test_direction_that_is_guessed_is_said_not_to_be_shown() -> None:
    assert "no length, 8.0% (5.0% to 11.0%), not shown to be above guessing" in _sentence()


TOLD = [
    TargetChange("second_moments", "r2", 0.25, 0.81, Interval(0.56, 0.5, 0.62), Interval(0.4, 0.3, 0.5)),
    TargetChange("shape", "accuracy", 0.5, 0.48, Interval(-0.02, -0.1, 0.06), Interval(-0.2, -0.3, -0.1)),
    TargetChange("direction", "r2", 0.9, 0.8, Interval(-0.1, -0.12, -0.08), None),
]


def test_what_images_add_is_what_rises() -> None:
    answer = images_answer("whole", (2, 9, 15), TOLD)
    assert answer.text == (
        "From 2 to 15 images, r comes to tell more of how far the object reaches along each axis, 25% to 81%, "
        "56 points more (50 to 62). It comes to tell less of where the cameras stood on average, 90% to 80%, "
        "10 points less (8 to 12). No change is shown of the shape. At 15 it tells more of how far the object "
        "reaches along each axis than the images' summed pixels do."
    )
    assert answer[2:5] == (0.56, 0.5, 0.62)
    assert "not known" in images_answer("whole", (2, 15), []).text


def test_the_largest_changes_are_told_in_numbers_and_the_others_named() -> None:
    rises = {"shape": 0.5, "color": 0.1, "occupancy": 0.4, "parts": 0.3, "color_where": 0.2}
    told = [
        TargetChange(target, "r2", 0.2, 0.2 + rise, Interval(rise, rise - 0.05, rise + 0.05))
        for target, rise in rises.items()
    ]
    text = images_answer("whole", (2, 15), told).text
    assert text.endswith(
        "of the shape, 20% to 70%, 50 points more (45 to 55); of which places the cubes fill, 20% to 60%, 40 points "
        "more (35 to 45); of the number of cubes, 20% to 50%, 30 points more (25 to 35); and of which colour is where "
        "and the mean colour."
    )


def test_what_training_adds_is_above_untrained_networks() -> None:
    text = training_answer("whole", 15, TOLD).text
    assert text == (
        "At 15 images, r of the trained network tells more of how far the object reaches along each axis, 81% against "
        "25%, 56 points more (50 to 62), than that of networks that were never trained, which has as many numbers. It "
        "tells less of where the cameras stood on average, 80% against 90%, 10 points less (8 to 12). No difference is "
        "shown of the shape."
    )
    assert "no more that could be shown than" in training_answer("pooled", 15, TOLD[1:2]).text
    assert "was not run" in training_answer("whole", 15, []).text
