"""The sentence follows the numbers."""

from gqn_probe.analysis.answer import Headline
from gqn_probe.analysis.intervals import Interval

HIGH, LOW, GUESS = Interval(0.8, 0.7, 0.9), Interval(0.5, 0.4, 0.6), Interval(0.08, 0.05, 0.11)


def _sentence(full: Interval, difference: tuple[float, float, float], **controls: float) -> str:
    return Headline(full, LOW, Interval(*difference), 0.07, controls).sentence(60)


def test_more_than_length() -> None:
    sentence = _sentence(HIGH, (0.3, 0.2, 0.4))
    assert "80.0% (70.0% to 90.0%) on 60 unseen objects" in sentence
    assert "more than its length (+30.0 points, +20.0 to +40.0)" in sentence


def test_no_more_than_length() -> None:
    assert "cannot be shown" in _sentence(HIGH, (0.1, -0.1, 0.3))
    assert "no more than its length" in _sentence(HIGH, (-0.2, -0.3, -0.1))


def test_guessing_is_called_guessing() -> None:
    assert "does not tell its count" in _sentence(GUESS, (0.0, -0.1, 0.1))


def test_a_tally_is_called_a_tally() -> None:
    assert "as a tally of views" in _sentence(HIGH, (0.3, 0.2, 0.4), transfer=0.79)
    assert "not as a tally alone" in _sentence(HIGH, (0.3, 0.2, 0.4), transfer=0.3)
