"""Parser of context counts: ``7``, ``2..15``, ``2..14..3``, ``[2,5,9]``, ``2,5,9`` and ``range(2,16)``."""

import re
from collections.abc import Sequence

SPAN = re.compile(r"(\d+)\.\.(\d+)(?:\.\.(\d+))?")
RANGE = re.compile(r"range\(\s*(?:(?:start=)?(\d+)\s*,\s*)?(?:stop=)?(\d+)\s*(?:,\s*(?:step=)?(\d+)\s*)?\)")
REMEDY = "write a count such as 7, an inclusive range such as 2..15 or 2..14..3, or a list such as [2,5,9]"


def parse_counts(value: int | str | Sequence[int | str]) -> list[int]:
    """Return the counts of ``value`` in its order; ``a..b`` includes both ends.

    Raises:
        ValueError: the value is not in the notation, has no count, a count below 1, or a count twice.
    """
    if isinstance(value, str):
        text = value.strip().strip("'\"")
        counts = _parse_text(text)
    elif isinstance(value, int):
        text, counts = str(value), [value]
    elif not isinstance(value, Sequence):
        raise ValueError(f"{value!r} is not a context count; {REMEDY}")
    else:
        text, counts = str(list(value)), [count for item in value for count in parse_counts(item)]
    if not counts:
        raise ValueError(f"{text!r} holds no context count; {REMEDY}")
    if min(counts) < 1:
        raise ValueError(f"{text!r} holds the count {min(counts)}, the least is 1; {REMEDY}")
    if len(set(counts)) < len(counts):
        raise ValueError(f"{text!r} holds a count twice; {REMEDY}")
    return counts


def _parse_text(text: str) -> list[int]:
    if text.isdecimal():
        return [int(text)]
    if span := SPAN.fullmatch(text):
        first, last, step = int(span[1]), int(span[2]), int(span[3] or 1)
        if step and first <= last:
            return list(range(first, last + 1, step))
        raise ValueError(f"{text!r} runs backwards or stands still; {REMEDY}")
    if span := RANGE.fullmatch(text):
        first, stop, step = int(span[1] or 0), int(span[2]), int(span[3] or 1)
        return list(range(first, stop, step)) if step else []
    if items := text.removeprefix("[").removesuffix("]").strip():
        parts = [item.strip() for item in items.split(",")]
        if all(part.isdecimal() or SPAN.fullmatch(part) for part in parts):
            return [count for part in parts for count in _parse_text(part)]
    raise ValueError(f"{text!r} is not a context count; {REMEDY}")
