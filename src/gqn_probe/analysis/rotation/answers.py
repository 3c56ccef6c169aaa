"""Answers of mental rotation in plain sentences, each with its estimate, its interval and the control it rests on."""

from collections.abc import Iterable, Sequence

from gqn_probe.results import Answer, Result

SAME_OR_MIRROR = "Is it told apart from its mirror image?"
WORDS = {"depth": "in depth", "plane": "in the picture plane"}


class _Rows:
    """Result rows of one count, looked up by axis, metric, input, probe, control and angle."""

    def __init__(self, results: Iterable[Result], count: int) -> None:
        self.rows = [row for row in results if row.count == count]

    def find(
        self, axis: str, metric: str, input: str, probe: str, control: str = "none", angle: float | None = None
    ) -> Result | None:
        wanted = (axis, metric, input, probe, control, angle)
        keys = ((r, (r.target, r.metric, r.input, r.probe, r.control, r.angle)) for r in self.rows)
        return next((row for row, key in keys if key == wanted), None)


def rotation_answers(results: Sequence[Result], axes: Sequence[str], count: int, cone: float) -> list[Answer]:
    """Return the answers: prediction first, unless same or mirror image is told better than by pixels."""
    rows = _Rows(results, count)
    found = [_prediction_error(rows, axes[0], count, cone), _same_or_mirror(rows, axes), _code_distance(rows, axes[0])]
    answers = [answer for answer in found if answer is not None]
    if _beats_pixels(rows, axes[0]):
        answers.sort(key=lambda answer: answer.question != SAME_OR_MIRROR)
    return answers


def _beats_pixels(rows: _Rows, axis: str) -> bool:
    """Return True if the lower bounds of accuracy and of its gain over pixels are above guessing and above 0."""
    gain = rows.find(axis, "far_accuracy_above_pixels", "prediction", "error")
    own = rows.find(axis, "far_accuracy", "prediction", "error")
    return all(row is not None and row.low is not None and row.low > least for row, least in ((gain, 0), (own, 0.5)))


def _prediction_error(rows: _Rows, axis: str, count: int, cone: float) -> Answer | None:
    angles = sorted({row.angle for row in rows.rows if row.angle is not None})
    by_angle = [rows.find(axis, "rmse", "prediction", "error", angle=angle) for angle in angles]
    last = by_angle[-1] if by_angle else None
    first = by_angle[0] if by_angle else None
    if first is None or last is None:
        return None
    views = f"{count} view{'s' * (count > 1)} within {cone:g}°"
    text = (
        f"From {views}, a view turned {WORDS[axis]} by {last.angle:g}° is predicted with an RMSE of "
        f"{_with_interval(last, 1)} of 255 grey levels, one at {first.angle:g}° with {_with_interval(first, 1)}"
    )
    others = {
        "shuffled": "from another object's views",
        "pixels": "the nearest context view itself has",
    }
    for control, words in others.items():
        other = rows.find(axis, "rmse", "prediction", "error", control, last.angle)
        if other is not None:
            text += f"; {words} {_with_interval(other, 1)}"
    licence = "another object's context, and the nearest context view in place of a prediction"
    return Answer("Is a turned view predicted?", f"{text}.", last.value, last.low, last.high, licence)


def _same_or_mirror(rows: _Rows, axes: Sequence[str]) -> Answer | None:
    texts, main = [], None
    for axis in axes:
        own = rows.find(axis, "far_accuracy", "prediction", "error")
        gain = rows.find(axis, "far_accuracy_above_pixels", "prediction", "error")
        if own is None or gain is None or gain.low is None or gain.high is None:
            continue
        main = main or gain
        points = f"{_points(abs(gain.value))} percentage points"
        than = f"{points} more" if gain.low > 0 else f"{points} fewer" if gain.high < 0 else "not clearly more"
        texts.append(
            f"turned {WORDS[axis]} by 60° or more, the object matches the prediction better than its mirror image in "
            f"{_percent(own)} of trials, {than} than by pixels (difference {_points(gain.low)} to "
            f"{_points(gain.high)})"
        )
    if main is None:
        return None
    text = "; ".join(texts)
    return Answer(
        SAME_OR_MIRROR,
        f"{text[0].upper()}{text[1:]}.",
        main.value,
        main.low,
        main.high,
        "paired difference to the nearest context view, over mirror classes; guessing is 50 %",
    )


def _code_distance(rows: _Rows, axis: str) -> Answer | None:
    own, blank, left = (
        rows.find(axis, metric, "whole", "distance", control)
        for metric, control in (
            ("correlation", "none"),
            ("correlation", "blank"),
            ("partial_correlation", "none"),
        )
    )
    if own is None or blank is None:
        return None
    text = (
        "The distance of a turned view's code from the context's correlates with the angle by "
        f"{_with_interval(own, 2)}; with blank images and the true cameras, by {_with_interval(blank, 2)}"
    )
    if left is not None:
        sign = "no clear correlation" if _holds_zero(left) else f"a {'positive' if left.value > 0 else 'negative'} one"
        text += f". With pixels and blank images partialled out, {sign} remains: {_with_interval(left, 2)}"
    shown = left or own
    licence = "blank images with the true cameras, whose codes depend on the camera alone"
    return Answer("Does the code change with the angle?", f"{text}.", shown.value, shown.low, shown.high, licence)


def _holds_zero(row: Result) -> bool:
    return row.low is None or row.high is None or row.low <= 0 <= row.high


def _with_interval(row: Result, digits: int) -> str:
    bounds = f" ({row.low:.{digits}f} to {row.high:.{digits}f})" if row.low is not None else ""
    return f"{row.value:.{digits}f}{bounds}"


def _percent(row: Result) -> str:
    return f"{100 * row.value:.0f} % ({100 * (row.low or 0):.0f} to {100 * (row.high or 0):.0f})"


def _points(share: float) -> str:
    return f"{100 * share:.0f}"
