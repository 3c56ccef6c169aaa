"""The study's answer: the headline numbers, and what follows from them in one sentence."""

from collections.abc import Mapping
from typing import NamedTuple

from gqn_probe.analysis.probes.predictions import Predictions
from gqn_probe.analysis.statistics.bootstrap import Interval, ObjectBootstrap
from gqn_probe.analysis.statistics.scores import paired_difference, share_right

QUESTION = "Does the scene representation tell how many context images it was formed from, beyond its length?"
EQUIVALENT = 0.1  # of what is above guessing: so much less well is as well
ONE_COUNT = "One count alone cannot be told from others: study two or more."


class Headline(NamedTuple):
    """Accuracies of the headline's probe over all counts, on objects it was not trained on."""

    probe: str
    input: str
    accuracy: Interval
    norm_only: Interval
    difference: Interval  # paired
    transfer: Interval | None  # accuracy on sums of views of different objects less that on r, paired
    chance: float

    @classmethod
    def of(
        cls,
        predictions: Mapping[str, Predictions],
        bootstrap: ObjectBootstrap,
        of_groups: ObjectBootstrap,
        *,
        full: str,
        norm: str,
        chance: float,
        probe: str,
        input: str,
    ) -> "Headline":
        """From the test predictions of an input under every control: ``full`` is it as it is, ``norm`` its length.

        Args:
            of_groups: resamples the groups of objects that are mixed with each other.
        """
        foreign = predictions.get("transfer")
        return cls(
            probe=probe,
            input=input,
            accuracy=share_right(predictions[full], bootstrap),
            norm_only=share_right(predictions[norm], bootstrap),
            difference=paired_difference(predictions[full], predictions[norm], bootstrap),
            transfer=None if foreign is None else paired_difference(foreign, predictions[full], of_groups),
            chance=chance,
        )

    def values(self) -> dict[str, float | str]:
        """Flat, as ``summary.json`` has it."""
        flat: dict[str, float | str] = {"probe": self.probe, "input": self.input, "chance": self.chance}
        for name in ("accuracy", "norm_only", "difference", "transfer"):
            found: Interval | None = getattr(self, name)
            if found is not None:
                flat |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        return flat

    def sentence(self, objects: int) -> str:
        """What follows, in words chosen by the numbers."""
        pooled = self.input == "pooled"
        rows = "r" if pooled else self.input
        reader = f"The {self.probe} probe" + ("" if pooled else f" on {self.input}")
        unseen = "1 unseen object" if objects == 1 else f"{objects} unseen objects"
        start = f"{reader} names the count with accuracy {_share(self.accuracy)} on {unseen}"
        if self.accuracy.low <= self.chance:
            return f"{start}: that {rows} tells its count cannot be shown (guessing: {self.chance:.1%})."
        start += f" (guessing: {self.chance:.1%}) and its length alone gives {_share(self.norm_only)}"
        gain = _points(self.difference)
        if self.difference.low > 0:
            return f"{start}: {rows} tells its count by more than its length ({gain}){self._tally()}."
        if self.difference.high < 0:
            return f"{start}: what the probe reads from {rows} is no more than its length ({gain})."
        return f"{start}: that {rows} tells more than its length cannot be shown ({gain}){self._tally()}."

    def _tally(self) -> str:
        """Whether the probe counts summands, or reads what views of one scene have in common."""
        if self.transfer is None:
            return ""
        if self.transfer.high < 0:
            value, high, low = (f"{-100 * share:.1f}" for share in self.transfer)
            return f"; sums of views of different objects are read {value} points less well ({low} to {high})"
        points = _points(self.transfer)
        if self.transfer.low < -EQUIVALENT * (self.accuracy.value - self.chance):
            return f"; whether sums of views of different objects are read as well cannot be told ({points})"
        return f"; sums of views of different objects are read as well ({points}), so what it reads is a tally of views"


def _share(found: Interval) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"


def _points(found: Interval) -> str:
    value, low, high = (f"{round(100 * share, 1) + 0.0:+.1f}" for share in found)  # no -0.0
    return f"{value} points, {low} to {high}"
