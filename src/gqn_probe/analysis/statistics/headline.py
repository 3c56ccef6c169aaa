"""The three answers of a study in sentences, chosen by intervals and controls.

Can the count be decoded, and from what; what do further images add; what does training add.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gqn_probe.results import Answer, Interval, percent

QUESTION = "What does the scene representation encode, and what does each further image add?"
COUNT, IMAGES, TRAINING = "Can the count be decoded?", "What do further images add?", "What does training add?"
ONE_COUNT = "One count alone cannot be told from others: study two or more."
EQUIVALENT = 0.1  # non-inferiority margin, as a share of the accuracy above chance
LEAST_GROUPS = 10  # groups of mixed objects needed for a sentence about transfer
NAMES = {"whole": "r", "pooled": "r averaged over positions"}
WORDS = {
    "second_moments": "the object's extent along each axis",
    "color_where": "the places of the colours",
    "occupancy": "the places that the cubes fill",
    "shape": "the shape",
    "chirality": "the handedness",
    "parts": "the number of cubes",
    "color": "the mean colour",
    "direction": "the mean direction of the cameras",
    "coverage": "the coverage of directions by the cameras",
}
IN_NUMBERS = 3  # changes that a sentence gives with numbers; the report has a table of all
FINE = 0.025  # differences below this are given with three decimals
NEAR_CEILING = 0.99
UNSEEN = "on the same unseen objects, with 95 % intervals"


class CountEvidence(NamedTuple):
    """Test accuracies of the headline's probe over all counts; None where a control was not run."""

    probe: str
    input: str
    objects: int
    counts: int
    accuracy: Interval
    norm_only: Interval
    difference: Interval  # accuracy less that of the length alone, paired
    direction: Interval | None = None  # r / |r|, the better of two probes
    tally: Interval | None = None  # the label-free tally; None where the input is no sum
    tally_difference: Interval | None = None  # tally less accuracy, paired
    untrained: Interval | None = None
    transfer: Interval | None = None  # accuracy on sums over different objects less that on r, paired
    groups: int = 0  # number of groups within which objects are mixed

    @property
    def chance(self) -> float:
        return 1 / self.counts

    def values(self) -> dict[str, float | str]:
        """Return the entries of ``headline`` in ``summary.json``."""
        flat: dict[str, float | str] = {"probe": self.probe, "input": self.input, "chance": self.chance}
        for name in ("accuracy", "norm_only", "difference", "direction", "tally", "untrained", "transfer"):
            found: Interval | None = getattr(self, name)
            if found is not None:
                flat |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        return flat

    @property
    def tally_suffices(self) -> bool:
        """True if the label-free tally is not inferior to the probe."""
        if self.tally is None or self.tally_difference is None:
            return False
        return self.tally_difference.low >= -EQUIVALENT * (self.accuracy.value - self.chance)


class TargetChange(NamedTuple):
    """Paired change of one target's score: from the smallest to the largest count, or from untrained to trained."""

    target: str
    metric: str  # "accuracy" or "r2"
    first: float
    last: float
    difference: Interval  # last less first, paired
    above_pixels: Interval | None = None  # last less the score of summed pixels, paired


def count_answer(found: CountEvidence) -> Answer:
    """Return whether the count can be decoded, and the controls that explain from what."""
    name, chance = NAMES.get(found.input, found.input), f"chance: {percent(found.chance)}"
    unseen = "1 unseen object" if found.objects == 1 else f"{found.objects} unseen objects"
    reached = f"the number of images from {name} with an accuracy of {_share(found.accuracy, chance)} on {unseen}"
    numbers = found.accuracy._asdict()
    if found.accuracy.low <= found.chance:
        text = f"Not shown. The {found.probe} probe predicts {reached}."
        return Answer(COUNT, text, **numbers, licence="accuracy against chance")
    text = f"Yes. The {found.probe} probe predicts {reached}."
    licence = ["accuracy against chance"]
    if found.tally is not None:
        licence = ["the label-free tally"]
        but = "But so does a tally" if found.tally_suffices else "A tally"
        reaches = "with" if found.tally_suffices else "reaches"
        text += f" {but} that was fitted to single images, without any count, {reaches} {_share(found.tally)}"
        text += ", since any sum of non-negative views can be counted." if found.tally_suffices else "."
    if found.untrained is not None:
        text += f" From untrained networks the accuracy is {_share(found.untrained)}."
    licence.append(f"the norms alone, {_share(found.norm_only)}")
    if found.direction is not None:
        shown = "" if found.direction.low > found.chance else ", not shown to exceed chance"
        licence.append(f"the direction r / |r| alone, {_share(found.direction)}{shown}")
    if mixtures := _mixtures(found):
        licence.append(mixtures)
    return Answer(COUNT, text, **numbers, licence="; ".join(licence))


def images_answer(input: str, counts: Sequence[int], changes: Sequence[TargetChange]) -> Answer:
    """Return which targets change from the smallest to the largest count, and how r compares with summed pixels."""
    name = NAMES.get(input, input)
    if not changes:
        return Answer(IMAGES, "No property of the objects was decoded, so what further images add is not known.")
    rising, falling, rest = _split_by_sign(changes)
    text = f"From {counts[0]} to {counts[-1]} images, decoding from {name} "
    text += f"improves for {_changes(rising, 'to')}." if rising else "is not shown to improve for any target."
    if falling:
        text += f" It declines for {_changes(falling, 'to')}."
    if rest:
        text += f" No change is shown for {join_words(rest)}."
    if any(each.above_pixels is not None for each in changes):
        above = [_words(each.target) for each in changes if each.above_pixels is not None and each.above_pixels.low > 0]
        which = "for all of these" if len(above) == len(changes) else f"for {join_words(above)}" if above else ""
        better = f"is better than from summed pixels {which}" if above else "is not shown to be better than from pixels"
        text += f" At {counts[-1]} it {better}."
    first = (rising or falling or list(changes))[0]
    return Answer(IMAGES, text, *first.difference, licence=f"paired differences, {UNSEEN}")


def training_answer(input: str, count: int, changes: Sequence[TargetChange]) -> Answer:
    """Return which targets differ from those decoded from untrained networks of the same width."""
    if not changes:
        text = "Not asked: the control of untrained networks was not run."
        return Answer(TRAINING, text)
    better, worse, rest = _split_by_sign(changes)
    text = f"At {count} images, decoding from {NAMES.get(input, input)} is "
    text += "better than from" if better else "not shown to be better for any target than from"
    text += " untrained networks of the same width"
    text += f" for {_changes(better, 'against')}." if better else "."
    if worse:
        text += f" It is worse for {_changes(worse, 'against')}."
    if rest:
        text += f" No difference is shown for {join_words(rest)}."
    first = (better or worse or list(changes))[0]
    return Answer(TRAINING, text, *first.difference, licence=f"paired differences to untrained networks, {UNSEEN}")


def _mixtures(found: CountEvidence) -> str:
    """Return the clause on transfer to sums over different objects; empty for too few groups."""
    if found.transfer is None or found.groups < LEAST_GROUPS:
        return ""
    points = _points(found.transfer)
    mixtures = "in sums over different objects the count is predicted"
    if found.transfer.low > 0:
        return f"{mixtures} better ({points})"
    if found.transfer.high < 0:
        return f"{mixtures} less well ({points})"
    if found.transfer.low < -EQUIVALENT * (found.accuracy.value - found.chance):
        return f"whether {mixtures} as well is undecided ({points})"
    as_well = f"{mixtures} as well ({points})"
    return f"{as_well}: the probe counts how many views were summed" if found.tally_suffices else as_well


def _split_by_sign(changes: Sequence[TargetChange]) -> tuple[list[TargetChange], list[TargetChange], list[str]]:
    """Return increases and decreases, largest first, and the names of targets whose interval includes 0."""
    ordered = sorted(changes, key=lambda each: -abs(each.difference.value))
    more = [each for each in ordered if each.difference.low > 0]
    less = [each for each in ordered if each.difference.high < 0]
    return more, less, [_words(each.target) for each in ordered if each not in (*more, *less)]


def _changes(changes: Sequence[TargetChange], joint: str) -> str:
    """Return "occupancy (R² 0.36 to 0.72, +0.36, +0.34 to +0.38)" for the largest changes, then the others' names."""
    parts = []
    for each in changes[:IN_NUMBERS]:
        first, last = f"{each.first:.2f}", f"{each.last:.2f}"
        values = f"{first} to {last}" if joint == "to" else f"{last} against {first}"
        digits = 3 if abs(each.difference.value) < FINE else 2
        value, low, high = (f"{number:+.{digits}f}" for number in each.difference)
        metric = "accuracy" if each.metric == "accuracy" else "R²"
        parts.append(f"{_words(each.target)} ({metric} {values}, {value}, {low} to {high})")
    return join_words([*parts, *(_words(each.target) for each in changes[IN_NUMBERS:])])


def _words(target: str) -> str:
    return WORDS.get(target, target.replace("_", " "))


def join_words(items: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _share(found: Interval, more: str = "") -> str:
    value, low, high = (_percent(share) for share in found)
    return f"{value} ({'; '.join(filter(None, (f'{low} to {high}', more)))})"


def _percent(share: float) -> str:
    """Return a share in percent, to a tenth; near the ceiling to a hundredth."""
    if share == 1:
        return "100 %"
    return percent(share, 2 if share > NEAR_CEILING else 1)


def _points(found: Interval) -> str:
    value, low, high = (f"{round(100 * share, 1) + 0.0:+.1f}" for share in found)  # no -0.0
    return f"{value} points, {low} to {high}"
