"""Answers of mental rotation in plain sentences, each with its estimate, its interval and the control it rests on."""

from collections.abc import Mapping, Sequence

from gqn_probe.results import Answer, Result

SAME_OR_MIRROR = "Is it told apart from its mirror image?"
WORDS = {"depth": "in depth", "plane": "in the picture plane"}
OTHERS = {"shuffled": "from another object's views", "pixels": "the nearest context view itself has"}
Rows = Mapping[tuple, Result]  # by axis, metric, input, probe, control and angle


def rotation_answers(results: Sequence[Result], axes: Sequence[str], count: int, cone: float) -> list[Answer]:
    """Return the answers: prediction first, unless same or mirror image is told better than by pixels."""
    rows = {(r.target, r.metric, r.input, r.probe, r.control, r.angle): r for r in results if r.count == count}
    found = [_prediction_error(rows, axes[0], count, cone), _same_or_mirror(rows, axes), _code_distance(rows, axes[0])]
    answers = [answer for answer in found if answer is not None]
    own, gain = _far(rows, axes[0])
    if own is not None and gain is not None and (own.low or 0) > 0.5 and (gain.low or 0) > 0:
        answers.sort(key=lambda answer: answer.question != SAME_OR_MIRROR)
    return answers


def _far(rows: Rows, axis: str) -> list[Result | None]:
    """Return the accuracy of predictions from 60 degrees on, and its gain over pixels."""
    metrics = ("far_accuracy", "far_accuracy_above_pixels")
    return [rows.get((axis, metric, "prediction", "error", "none", None)) for metric in metrics]


def _prediction_error(rows: Rows, axis: str, count: int, cone: float) -> Answer | None:
    by_angle = {key[-1]: row for key, row in rows.items() if key[:-1] == (axis, "rmse", "prediction", "error", "none")}
    if not by_angle:
        return None
    first, last = by_angle[min(by_angle)], by_angle[max(by_angle)]
    text = (
        f"From {count} view{'s' * (count > 1)} within {cone:g}°, a view turned {WORDS[axis]} by {last.angle:g}° is "
        f"predicted with an RMSE of {_with_interval(last, 1)} of 255 grey levels, one at {first.angle:g}° with "
        f"{_with_interval(first, 1)}"
    )
    for control, words in OTHERS.items():
        other = rows.get((axis, "rmse", "prediction", "error", control, last.angle))
        text += f"; {words} {_with_interval(other, 1)}" if other is not None else ""
    licence = "another object's context, and the nearest context view in place of a prediction"
    return Answer("Is a turned view predicted?", f"{text}.", last.value, last.low, last.high, licence)


def _same_or_mirror(rows: Rows, axes: Sequence[str]) -> Answer | None:
    texts, main = [], None
    for axis in axes:
        own, gain = _far(rows, axis)
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


def _code_distance(rows: Rows, axis: str) -> Answer | None:
    wanted = (("correlation", "none"), ("correlation", "blank"), ("partial_correlation", "none"))
    own, blank, left = (rows.get((axis, metric, "whole", "distance", control, None)) for metric, control in wanted)
    if own is None or blank is None:
        return None
    text = (
        "The distance of a turned view's code from the context's correlates with the angle by "
        f"{_with_interval(own, 2)}; with blank images and the true cameras, by {_with_interval(blank, 2)}"
    )
    if left is not None:
        clear = left.low is not None and left.high is not None and not left.low <= 0 <= left.high
        sign = f"a {'positive' if left.value > 0 else 'negative'} one" if clear else "no clear correlation"
        text += f". With pixels and blank images partialled out, {sign} remains: {_with_interval(left, 2)}"
    shown = left or own
    licence = "blank images with the true cameras, whose codes depend on the camera alone"
    return Answer("Does the code change with the angle?", f"{text}.", shown.value, shown.low, shown.high, licence)


def _with_interval(row: Result, digits: int) -> str:
    bounds = f" ({row.low:.{digits}f} to {row.high:.{digits}f})" if row.low is not None else ""
    return f"{row.value:.{digits}f}{bounds}"


def _percent(row: Result) -> str:
    return f"{100 * row.value:.0f} % ({100 * (row.low or 0):.0f} to {100 * (row.high or 0):.0f})"


def _points(share: float) -> str:
    return f"{100 * share:.0f}"
