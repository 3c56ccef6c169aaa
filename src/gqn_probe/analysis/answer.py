"""The study's answer: the headline numbers, and what follows from them in one sentence."""

from collections.abc import Mapping
from typing import NamedTuple

from gqn_probe.analysis.intervals import Interval, ObjectBootstrap
from gqn_probe.analysis.metrics import Readings
from gqn_probe.analysis.scoring import paired_difference, share_right

QUESTION = "Does the scene representation tell how many context images it was formed from, beyond its length?"
ONE_COUNT = "One count alone cannot be told from others: study two or more."
AS_WELL = 0.9  # of what the probe gains over guessing: a control that reaches this reads as well


class Headline(NamedTuple):
    """Accuracies of the linear probe over all counts, on objects it was not trained on."""

    accuracy: Interval
    norm_only: Interval
    difference: Interval  # paired
    chance: float
    controls: Mapping[str, float]  # accuracies of the others

    @classmethod
    def of(
        cls, readings: Mapping[str, Readings], bootstrap: ObjectBootstrap, *, full: str, norm: str, chance: float
    ) -> "Headline":
        """From the test readings of every control by name; ``full`` is r as it is and ``norm`` its length."""
        return cls(
            accuracy=share_right(readings[full], bootstrap),
            norm_only=share_right(readings[norm], bootstrap),
            difference=paired_difference(readings[full], readings[norm], bootstrap),
            chance=chance,
            controls={name: share_right(each, bootstrap).value for name, each in readings.items()},
        )

    def values(self) -> dict[str, float]:
        """Flat, as ``summary.json`` has it."""
        flat: dict[str, float] = {"chance": self.chance}
        for name in ("accuracy", "norm_only", "difference"):
            found: Interval = getattr(self, name)
            flat |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        return flat

    def sentence(self, objects: int) -> str:
        """What follows, in words chosen by the numbers."""
        start = f"A linear probe names the count with accuracy {_share(self.accuracy)} on {objects} unseen objects"
        if self.accuracy.low <= self.chance:
            return f"{start}, which is no better than guessing ({self.chance:.1%}): r does not tell its count."
        value, low, high = (f"{100 * share:+.1f}" for share in self.difference)
        start += f" (guessing: {self.chance:.1%}) and its length alone gives {_share(self.norm_only)}"
        gain = f"{value} points, {low} to {high}"
        if self.difference.low > 0:
            return f"{start}: r tells its count by more than its length ({gain}){self._tally()}."
        if self.difference.high < 0:
            return f"{start}: what the probe reads from r is no more than its length ({gain})."
        return f"{start}: that r tells more than its length cannot be shown ({gain}){self._tally()}."

    def _tally(self) -> str:
        """Whether the probe counts summands, or reads what views of one scene have in common."""
        foreign = self.controls.get("transfer")
        if foreign is None:
            return ""
        if self._as_well(foreign):
            return f", but as a tally of views: sums of views of different objects are read as well ({foreign:.1%})"
        return f", and not as a tally alone: sums of views of different objects are read worse ({foreign:.1%})"

    def _as_well(self, accuracy: float) -> bool:
        return accuracy - self.chance >= AS_WELL * (self.accuracy.value - self.chance)


def _share(found: Interval) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
