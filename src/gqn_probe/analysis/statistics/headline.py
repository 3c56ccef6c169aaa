"""The three answers of a study in sentences, chosen by intervals and controls.

Can the count be decoded, and from what; what do further images add; what does training add.
"""

from collections.abc import Mapping, Sequence
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
FINE = 0.025  # differences below this are given with three decimals
NEAR_CEILING = 0.99
ROUNDED_UP = 0.99995
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
    reached = f"the number of images from {name} with an accuracy of {share_words(found.accuracy, chance)}"
    details = "1 unseen object." if found.objects == 1 else f"{found.objects} unseen objects."
    if found.untrained is not None:
        details += f" From untrained networks the accuracy is {share_words(found.untrained)}."
    numbers = found.accuracy._asdict()
    if found.accuracy.low <= found.chance:
        text = f"Not shown. The {found.probe} probe predicts {reached}."
        return Answer(COUNT, text, **numbers, licence="accuracy against chance", details=details)
    text = f"Yes. The {found.probe} probe predicts {reached}"
    licence = ["accuracy against chance"]
    if found.tally is not None:
        licence = ["the label-free tally"]
        tally = f"tally that was fitted to single images, without any count, {{}} {share_words(found.tally)}"
        if found.tally_suffices:
            text += f", but so does a {tally.format('with')}: any sum of non-negative views can be counted"
        else:
            details += f" A {tally.format('reaches')}."
    licence.append(f"the norms alone, {share_words(found.norm_only)}")
    if found.direction is not None:
        shown = "" if found.direction.low > found.chance else ", not shown to exceed chance"
        licence.append(f"the direction r / |r| alone, {share_words(found.direction)}{shown}")
    if mixtures := _mixtures(found):
        licence.append(mixtures)
    return Answer(COUNT, f"{text}.", **numbers, licence="; ".join(licence), details=details)


def images_answer(input: str, counts: Sequence[int], changes: Sequence[TargetChange]) -> Answer:
    """Return which targets change from the smallest to the largest count, and how r compares with summed pixels."""
    if not changes:
        return Answer(IMAGES, "No property of the objects was decoded, so what further images add is not known.")
    rising, falling, rest = _split_by_sign(changes)
    first = (rising or falling or list(changes))[0]
    text = f"From {counts[0]} to {counts[-1]} images, decoding from {NAMES.get(input, input)} "
    text += f"improves {_most(rising)}" if rising else "is not shown to improve for any target"
    text += f", and declines {_most(falling)}" if falling else ""
    details = _details({"also improves": rising, "also declines": falling}, rest, "change")
    if compared := [(each.target, each.above_pixels) for each in changes if each.above_pixels is not None]:
        above = [_words(target) for target, difference in compared if difference.low > 0]
        text += f"; at {counts[-1]} it is better than from summed pixels for {len(above)} of {len(compared)}"
        details += f" It is better than from summed pixels for {join_words(above)}." if above else ""
    licence = f"paired differences, {UNSEEN}"
    numbers = first.difference.value, *first.difference.bounds
    return Answer(IMAGES, f"{text}.", *numbers, licence=licence, details=details.strip())


def training_answer(input: str, count: int, changes: Sequence[TargetChange]) -> Answer:
    """Return which targets differ from those decoded from untrained networks of the same width."""
    if not changes:
        text = "Not asked: it takes the control 'untrained', or the same study of an untrained network's features."
        return Answer(TRAINING, text)
    better, worse, rest = _split_by_sign(changes)
    first = (better or worse or list(changes))[0]
    text = f"At {count} images, decoding from {NAMES.get(input, input)} is "
    text += "better than from" if better else "not shown to be better for any target than from"
    text += " untrained networks of the same width"
    text += f" {_most(better, 'against')}" if better else ""
    text += f", and worse {_most(worse, 'against')}" if worse else ""
    details = _details({"is also better": better, "is also worse": worse}, rest, "difference", "against")
    licence = f"paired differences to untrained networks, {UNSEEN}"
    numbers = first.difference.value, *first.difference.bounds
    return Answer(TRAINING, f"{text}.", *numbers, licence=licence, details=details)


def _most(changes: Sequence[TargetChange], joint: str = "to") -> str:
    """Return "for the shape (...) and 4 other properties", with the numbers of the largest change."""
    number = len(changes) - 1
    others = f" and {number} other propert{'y' if number == 1 else 'ies'}" if number else ""
    return f"for {_change(changes[0], joint)}{others}"


def _details(kinds: Mapping[str, Sequence[TargetChange]], rest: Sequence[str], unshown: str, joint: str = "to") -> str:
    """Return the changes after the largest of each kind, in numbers, and the targets without one."""
    further = {verb: [_change(each, joint) for each in changes[1:]] for verb, changes in kinds.items()}
    parts = [f"It {verb} for {join_words(changes)}." for verb, changes in further.items() if changes]
    parts += [f"No {unshown} is shown for {join_words(rest)}."] if rest else []
    return " ".join(parts)


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


def _change(change: TargetChange, joint: str) -> str:
    """Return "the shape (accuracy 0.50 to 0.74; difference +0.16 to +0.30)", a 95 % interval."""
    first, last = f"{change.first:.2f}", f"{change.last:.2f}"
    values = f"{first} to {last}" if joint == "to" else f"{last} against {first}"
    digits = 3 if abs(change.difference.value) < FINE else 2
    low, high = (f"{number:+.{digits}f}" for number in change.difference[1:])
    metric = "accuracy" if change.metric == "accuracy" else "R²"
    return f"{_words(change.target)} ({metric} {values}; difference {low} to {high})"


def _words(target: str) -> str:
    return WORDS.get(target, target.replace("_", " "))


def join_words(items: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def share_words(found: Interval, more: str = "") -> str:
    """Return "99.95 % (99.83 % to > 99.99 %; MORE)"."""
    value, low, high = (_percent(share) for share in found)
    return f"{value} ({'; '.join(filter(None, (f'{low} to {high}', more)))})"


def _percent(share: float) -> str:
    """Return a share in percent, to a tenth; near the ceiling to a hundredth, never rounded up to 100 %."""
    if share == 1:
        return "100 %"
    if share > ROUNDED_UP:
        return "> 99.99 %"
    return percent(share, 2 if share > NEAR_CEILING else 1)


def _points(found: Interval) -> str:
    value, low, high = (f"{round(100 * share, 1) + 0.0:+.1f}" for share in found)  # no -0.0
    return f"{value} points, {low} to {high}"
