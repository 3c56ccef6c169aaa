"""The plain sentences of mental rotation, each with its number, its interval and what licenses it."""

from collections.abc import Iterable, Sequence

from gqn_probe.results import Answer, Result

TELLS = "Is it told from its mirror image?"
WORDS = {"depth": "in depth", "plane": "in the picture plane"}


class _Rows:
    """Result rows of one count, found by what they are of."""

    def __init__(self, results: Iterable[Result], count: int) -> None:
        self.rows = [row for row in results if row.count == count]

    def find(
        self, axis: str, metric: str, input: str, probe: str, control: str = "none", angle: float | None = None
    ) -> Result | None:
        wanted = (axis, metric, input, probe, control, angle)
        keys = ((r, (r.target, r.metric, r.input, r.probe, r.control, r.angle)) for r in self.rows)
        return next((row for row, key in keys if key == wanted), None)


def answers_of(results: Sequence[Result], axes: Sequence[str], count: int, cone: float) -> list[Answer]:
    """Prediction first; same or mirror image first only where it beats pixels."""
    rows = _Rows(results, count)
    found = [_predicts(rows, axes[0], count, cone), _tells(rows, axes), _camera(rows, axes[0])]
    answers = [answer for answer in found if answer is not None]
    if _beats_pixels(rows, axes[0]):
        answers.sort(key=lambda answer: answer.question != TELLS)
    return answers


def _beats_pixels(rows: _Rows, axis: str) -> bool:
    """Whether the object is surely told from its mirror image more often than by pixels, and than by guessing."""
    gain = rows.find(axis, "far_accuracy_above_pixels", "prediction", "error")
    own = rows.find(axis, "far_accuracy", "prediction", "error")
    return all(row is not None and row.low is not None and row.low > least for row, least in ((gain, 0), (own, 0.5)))


def _predicts(rows: _Rows, axis: str, count: int, cone: float) -> Answer | None:
    angles = sorted({row.angle for row in rows.rows if row.angle is not None})
    by_angle = [rows.find(axis, "rmse", "prediction", "error", angle=angle) for angle in angles]
    last = by_angle[-1] if by_angle else None
    first = by_angle[0] if by_angle else None
    if first is None or last is None:
        return None
    text = (
        f"From {count} views within {cone:g}°, a view turned {WORDS[axis]} by {last.angle:g}° is predicted with an "
        f"RMSE of {_between(last, 1)} of 255 grey levels, one at {first.angle:g}° with {_between(first, 1)}"
    )
    others = {
        "shuffled": "another object's views predict it with",
        "pixels": "the nearest context view is off by",
    }
    for control, words in others.items():
        other = rows.find(axis, "rmse", "prediction", "error", control, last.angle)
        if other is not None:
            text += f"; {words} {_between(other, 1)}"
    licence = "another object's context, and the nearest context view shown in place of a prediction"
    return Answer("Is a turned view predicted?", f"{text}.", last.value, last.low, last.high, licence)


def _tells(rows: _Rows, axes: Sequence[str]) -> Answer | None:
    texts, main = [], None
    for axis in axes:
        own = rows.find(axis, "far_accuracy", "prediction", "error")
        gain = rows.find(axis, "far_accuracy_above_pixels", "prediction", "error")
        if own is None or gain is None or gain.low is None or gain.high is None:
            continue
        main = main or gain
        more = "more" if gain.low > 0 else ("less" if gain.high < 0 else "no more")
        points = "" if more == "no more" else f"{_points(abs(gain.value))} points "
        texts.append(
            f"turned {WORDS[axis]} by 60° or more, the prediction names the object rather than its mirror image with "
            f"{_percent(own)}, {points}{more} than pixels do (difference {_points(gain.low)} to {_points(gain.high)})"
        )
    if main is None:
        return None
    text = "; ".join(texts)
    return Answer(
        TELLS,
        f"{text[0].upper()}{text[1:]}.",
        main.value,
        main.low,
        main.high,
        "the paired difference to the nearest context view, over mirror classes; guessing is 50 %",
    )


def _camera(rows: _Rows, axis: str) -> Answer | None:
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
        f"The distance of a turned view's code from the context's correlates with the angle by {_between(own, 2)}, and "
        f"with blank images and the true cameras by {_between(blank, 2)}"
    )
    if left is not None:
        opposite = "the opposite"  # nearer the further it is turned
        rest = "nothing sure" if _holds_zero(left) else "some of it" if left.value > 0 else opposite
        text += f"; {rest} is left when pixels and blank images are partialled out: {_between(left, 2)}"
    shown = left or own
    licence = "blank images with the true cameras, which tell of the camera alone"
    return Answer("Does its code turn with it?", f"{text}.", shown.value, shown.low, shown.high, licence)


def _holds_zero(row: Result) -> bool:
    return row.low is None or row.high is None or row.low <= 0 <= row.high


def _between(row: Result, digits: int) -> str:
    bounds = f" ({row.low:.{digits}f} to {row.high:.{digits}f})" if row.low is not None else ""
    return f"{row.value:.{digits}f}{bounds}"


def _percent(row: Result) -> str:
    return f"{100 * row.value:.0f} % ({100 * (row.low or 0):.0f} to {100 * (row.high or 0):.0f})"


def _points(share: float) -> str:
    return f"{100 * share:.0f}"
