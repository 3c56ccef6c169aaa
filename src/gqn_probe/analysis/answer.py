"""The study's answer: the headline numbers, and what follows from them in one sentence."""

from typing import NamedTuple

from gqn_probe.analysis.intervals import Interval, ObjectBootstrap
from gqn_probe.analysis.metrics import Readings
from gqn_probe.analysis.scoring import paired_difference, share_right

QUESTION = "Does the scene representation tell how many context images it was formed from, beyond its length?"
ONE_COUNT = "One count alone cannot be told from others: study two or more."


class Headline(NamedTuple):
    """Accuracies of the linear probe over all counts, on objects it was not trained on."""

    accuracy: Interval
    norm_only: Interval
    difference: Interval  # paired
    chance: float

    @classmethod
    def of(cls, full: Readings, norm: Readings, bootstrap: ObjectBootstrap, *, chance: float) -> "Headline":
        difference = paired_difference(full, norm, bootstrap)
        return cls(share_right(full, bootstrap), share_right(norm, bootstrap), difference, chance)

    def values(self) -> dict[str, float]:
        """Flat, as ``summary.json`` has it."""
        flat: dict[str, float] = {"chance": self.chance}
        for name in ("accuracy", "norm_only", "difference"):
            found: Interval = getattr(self, name)
            flat |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        return flat

    def sentence(self, objects: int) -> str:
        """What follows, in words chosen by the numbers."""
        start = (
            f"A linear probe names the count with an accuracy of {_share(self.accuracy)} on {objects} unseen objects"
        )
        if self.accuracy.low <= self.chance:
            return f"{start}, which is no better than guessing ({self.chance:.1%}): r does not tell its count."
        start += f" (guessing: {self.chance:.1%}); its length alone gives {_share(self.norm_only)}"
        value, low, high = (f"{100 * share:+.1f}" for share in self.difference)
        gain = f"{value} points, {low} to {high}"
        if self.difference.low > 0:
            return f"{start}; the rest of r adds to that ({gain}), so r tells its count by more than its length."
        if self.difference.high < 0:
            return f"{start}, which is more ({gain}): what the probe reads from r is no more than its length."
        return f"{start}; the rest of r adds nothing that can be told from none ({gain})."


def _share(found: Interval) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
