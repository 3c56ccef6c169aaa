"""A misspelt name is refused with all choices and the nearest of them."""

import pytest

from gqn_probe.choices import check_choice, check_names, nearest


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("nrom", "did you mean norm? "),
        ("tran", "did you mean transfer? "),
        ("NORM", "did you mean norm? "),
        ("xyz", ""),
    ],
)
def test_the_choice_that_begins_or_is_spelled_alike_is_named(word, hint):
    assert nearest(word, ["none", "norm", "transfer"]) == hint


def test_what_is_no_choice_is_refused():
    check_choice("film", "webp", ["webp", "gif"])
    check_names("control", ["norm"], ["none", "norm"])
    with pytest.raises(ValueError, match=r"^film=webb is not known: did you mean webp\? use webp, gif or mp4$"):
        check_choice("film", "webb", ["webp", "gif", "mp4"])
    with pytest.raises(ValueError, match=r"^no control nrom, x; did you mean norm\? there are none, norm$"):
        check_names("control", ["none", "nrom", "x"], ["none", "norm"])
