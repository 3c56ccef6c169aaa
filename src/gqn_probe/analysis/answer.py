"""The study's answer: the headline numbers, and what follows from them in one sentence."""

from typing import Any, NamedTuple

from gqn_probe.analysis.intervals import Interval

QUESTION = "Does the scene representation tell how many context images it was formed from, beyond its length?"


class Headline(NamedTuple):
    """Accuracies of the linear probe over all counts, on objects it was not trained on."""

    accuracy: Interval
    norm_only: Interval
    difference: Interval  # paired
    chance: float

    def values(self) -> dict[str, float]:
        """Flat, as ``summary.json`` has it."""
        flat: dict[str, float] = {"chance": self.chance}
        for name in ("accuracy", "norm_only", "difference"):
            found: Interval = getattr(self, name)
            flat |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        return flat


def answer(headline: Headline, objects: int) -> str:
    """One sentence built from the numbers."""
    full, norm, difference = headline.accuracy, headline.norm_only, headline.difference
    start = f"A linear probe names the count with an accuracy of {_share(full)} on {objects} unseen objects"
    if full.low <= headline.chance:
        return f"{start}, which is no better than guessing ({headline.chance:.1%}): r does not tell its count."
    start += f" (guessing: {headline.chance:.1%}); its length alone gives {_share(norm)}"
    gain = f"{100 * difference.value:+.1f} points ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
    if difference.low > 0:
        return f"{start}; the rest of r adds to that ({gain}), so r tells its count by more than its length."
    if difference.high < 0:
        return f"{start}, which is more ({gain}): what the probe reads from r is no more than its length."
    return f"{start}; the rest of r adds nothing that can be told from none ({gain})."


def summary(
    *, headline: Headline | None, objects: int, counts: list[int], failed: list[str], notes: list[str], **more: Any
) -> dict[str, Any]:
    """What ``summary.json`` holds."""
    sentence = (
        answer(headline, objects) if headline else "One count alone cannot be told from others: study two or more."
    )
    return {
        "question": QUESTION,
        "answer": sentence,
        "headline": headline.values() if headline else {},
        "counts": counts,
        "failed": failed,
        "objects": objects,
        "notes": notes,
        **more,
    }


def _share(found: Interval) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
