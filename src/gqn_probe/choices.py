"""Errors for a name that is not among the choices, with the nearest choice."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def nearest(word: object, choices: Iterable[str]) -> str:
    """Return ``did you mean X? `` for the choice that begins with ``word`` or is spelled most alike, else ``""``."""
    text, by_lower = str(word).lower(), {choice.lower(): choice for choice in choices}
    longer = [choice for choice in by_lower if text and choice.startswith(text)]
    found = longer or get_close_matches(text, by_lower, n=1, cutoff=0.7)
    return f"did you mean {by_lower[found[0]]}? " if found else ""


def check_choice(setting: str, value: object, choices: Iterable[str]) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``; the message names ``setting`` and all choices."""
    choices = list(choices)
    if value not in choices:
        listed = " or ".join(filter(None, [", ".join(choices[:-1]), *choices[-1:]]))
        raise ValueError(f"{setting}={value} is not known: {nearest(value, choices)}use {listed}")


def check_names(kind: str, names: Sequence[str], choices: Iterable[str]) -> None:
    """Raise ValueError for the ``names`` of a ``kind``, such as control, that are not among ``choices``."""
    choices = list(choices)
    if unknown := [name for name in names if name not in choices]:
        raise ValueError(
            f"no {kind} {', '.join(unknown)}; {nearest(unknown[0], choices)}there are {', '.join(choices)}"
        )
