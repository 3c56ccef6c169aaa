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
    """With details and what licenses it, as people read it."""
    answer = count_answer(_evidence(**changes))
    return f"{answer.text} {answer.details} {answer.licence}"


def test_what_a_tally_reads_needs_no_more_than_a_sum() -> None:
    answer = count_answer(_evidence())
    assert "any sum of non-negative views can be counted" in answer.text
    assert answer.text == (
        "Yes. The linear probe predicts the number of images from r with an accuracy of 100 % (98.0 % to 100 %; "
        "chance: 7.1 %), but so does a tally that was fitted to single images, without any count, with 100 % "
        "(98.0 % to 100 %): any sum of non-negative views can be counted."
    )
    assert answer.details == ("60 unseen objects. From untrained networks the accuracy is 100 % (98.0 % to 100 %).")
    assert answer.licence.startswith("the label-free tally")
    assert answer[2:5] == CERTAIN
    assert "the probe counts how many views were summed" in answer.licence


def test_direction_alone_tells_the_count_though_length_does_too() -> None:
    """r / |r| reads 99.8 %, the length 100 %: a difference of the probes would say that nothing more is told."""
    text = _sentence(
        norm_only=CERTAIN, difference=SAME, direction=Interval(0.998, 0.99, 1.0), tally=None, tally_difference=None
    )
    assert "the direction r / |r| alone, 99.80 %" in text
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
    assert "the direction r / |r| alone, 61.0 %" in text
    assert "any sum" not in text


def test_no_tally_of_what_is_no_sum() -> None:
    """An averaging network, or an input such as a generator's state."""
    text = _sentence(input="hidden.2", tally=None, tally_difference=None)
    assert "number of images from hidden.2 with" in text
    assert "sum of non-negative" not in text
    assert "counts how many" not in text


def test_mixtures_are_better_worse_as_well_or_unknown() -> None:
    assert "different objects the count is predicted better (+5.0 points, +3.0 to +7.0)" in _sentence(
        transfer=Interval(0.05, 0.03, 0.07)
    )
    assert "predicted less well (-2.0 points, -3.0 to -1.0)" in _sentence(transfer=Interval(-0.02, -0.03, -0.01))
    assert "as well is undecided (-20.0 points" in _sentence(transfer=Interval(-0.2, -0.41, 0.005))
    assert "different objects" not in _sentence(groups=9)
    assert "different objects" not in _sentence(transfer=None)


def test_accuracy_at_chance_is_not_shown() -> None:
    text = _sentence(accuracy=GUESS, direction=None)
    assert text.startswith("Not shown. The linear probe predicts the number of images from r")
    assert "8.0 % (5.0 % to 11.0 %; chance: 7.1 %)" in text


def test_no_number_is_rounded_up_to_certainty() -> None:
    assert "an accuracy of > 99.99 % (99.98 % to > 99.99 %; " in _sentence(accuracy=Interval(0.99998, 0.9998, 0.999999))


def test_no_number_is_minus_zero() -> None:
    assert "(+5.0 points, +0.0 to +10.6)" in _sentence(transfer=Interval(0.05, -0.0004, 0.106))


def test_direction_at_chance_is_said_not_to_exceed_it() -> None:
    assert "alone, 8.0 % (5.0 % to 11.0 %), not shown to exceed chance" in _sentence()


CHANGES = [
    TargetChange("second_moments", "r2", 0.25, 0.81, Interval(0.56, 0.5, 0.62), Interval(0.4, 0.3, 0.5)),
    TargetChange("shape", "accuracy", 0.5, 0.48, Interval(-0.02, -0.1, 0.06), Interval(-0.2, -0.3, -0.1)),
    TargetChange("direction", "r2", 0.9, 0.8, Interval(-0.1, -0.12, -0.08), None),
]


def test_what_images_add_is_what_rises() -> None:
    answer = images_answer("whole", (2, 9, 15), CHANGES)
    assert answer.text == (
        "From 2 to 15 images, decoding from r improves for the object's extent along each axis (R² 0.25 to 0.81; "
        "difference +0.50 to +0.62), and declines for the mean direction of the cameras (R² 0.90 to 0.80; difference "
        "-0.12 to -0.08); at 15 it is better than from summed pixels for 1 of 2."
    )
    assert answer.details == (
        "No change is shown for the shape. It is better than from summed pixels for the object's extent along each "
        "axis."
    )
    assert answer[2:5] == (0.56, 0.5, 0.62)
    assert "not known" in images_answer("whole", (2, 15), []).text


def test_the_largest_change_is_in_the_sentence_and_the_others_in_its_details() -> None:
    rises = {"shape": 0.5, "color": 0.1, "occupancy": 0.4, "parts": 0.3, "color_where": 0.2}
    changes = [
        TargetChange(target, "r2", 0.2, 0.2 + rise, Interval(rise, rise - 0.05, rise + 0.05))
        for target, rise in rises.items()
    ]
    answer = images_answer("whole", (2, 15), changes)
    assert answer.text.endswith(
        "improves for the shape (R² 0.20 to 0.70; difference +0.45 to +0.55) and 4 other properties."
    )
    assert answer.details.startswith(
        "It also improves for the places that the cubes fill (R² 0.20 to 0.60; difference +0.35 to +0.45), the number "
    )
    assert answer.details.endswith("and the mean colour (R² 0.20 to 0.30; difference +0.05 to +0.15).")


def test_what_training_adds_is_above_untrained_networks() -> None:
    answer = training_answer("whole", 15, CHANGES)
    assert answer.text == (
        "At 15 images, decoding from r is better than from untrained networks of the same width for the object's "
        "extent along each axis (R² 0.81 against 0.25; difference +0.50 to +0.62), and worse for the mean direction of "
        "the cameras (R² 0.80 against 0.90; difference -0.12 to -0.08)."
    )
    assert answer.details == "No difference is shown for the shape."
    assert (
        "not shown to be better for any target than from untrained" in training_answer("pooled", 15, CHANGES[1:2]).text
    )
    assert "takes the control 'untrained'" in training_answer("whole", 15, []).text
