"""Settings of a study that cannot be meant are refused in one line that says what to write."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from gqn_probe.analysis import StudySettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "orig"}, r"probe\.protocol=orig is not known: did you mean original\? use study or original"),
        ({"controls": "norm"}, r"probe\.controls=norm is not a list: write probe\.controls=\[norm\]"),
        ({"inputs": "pooled"}, r"probe\.inputs=pooled is not a list: write probe\.inputs=\[pooled\]"),
        ({"targets": "all"}, r"probe\.targets=all is not a list: write probe\.targets=\[all\]"),
        ({"inputs": []}, r"probe\.inputs=\[\] names none: write a list such as probe\.inputs=\[pooled\]"),
        ({"targets": None}, r"probe\.targets=None names none: write a list such as probe\.targets=\[count\]"),
        ({"reconstruct": 1}, r"probe\.reconstruct must be a whole number, at least 2, got 1"),
        ({"reconstruct": 0}, r"probe\.reconstruct must be a whole number, at least 2, got 0"),
        ({"reconstruct": -1}, r"probe\.reconstruct must be a whole number, at least 2, got -1"),
        ({"seeds": "some"}, r"probe\.seeds must be a whole number, at least 1, got some"),
        ({"probes": None}, r"probe\.probes is empty: keep at least one"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: StudySettings, changes: dict[str, Any], message: str) -> None:
    wrong = copy.copy(settings)
    vars(wrong).update(changes)  # past the checks of types, which users run without
    with pytest.raises(ValueError, match=message):
        wrong.__post_init__()


def test_no_further_controls_is_a_choice(settings: StudySettings) -> None:
    assert replace(settings, controls=[]).chosen == ("none", "norm")


def test_studies_of_other_seeds_share_no_probe_seed(settings: StudySettings) -> None:
    assert list(settings.probe_seeds()) == [0, 1, 2, 3, 4]
    assert list(replace(settings, seed=1).probe_seeds()) == [5, 6, 7, 8, 9]


def test_fewer_folds_are_gone_through_as_often(settings: StudySettings) -> None:
    assert [len(replace(settings, seeds=seeds).probe_seeds(folds=4)) for seeds in (1, 5, 10)] == [1, 4, 8]
    assert list(replace(settings, seed=1).probe_seeds(folds=4)) == [4, 5, 6, 7]
