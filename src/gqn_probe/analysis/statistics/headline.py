"""The study's three plain sentences: each is chosen by the evidence that licenses it, never by a difference of probes.

Whether the count can be read, and why; what further images add; what training adds.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gqn_probe.results import Answer, Interval

QUESTION = "What does the scene representation tell, and what does each further image add?"
COUNT, IMAGES, TRAINING = "Can the count be read?", "What do further images add?", "What does training add?"
ONE_COUNT = "One count alone cannot be told from others: study two or more."
EQUIVALENT = 0.1  # of what is above guessing: so much less well is as well
LEAST_GROUPS = 10  # groups of mixed objects, below which nothing is said of mixtures
NAMES = {"whole": "r", "pooled": "r averaged over positions"}


class CountEvidence(NamedTuple):
    """Accuracies over all counts on objects that the probe was not trained on; None where a control was not run."""

    probe: str
    input: str
    objects: int
    counts: int
    accuracy: Interval
    norm_only: Interval
    difference: Interval  # to the length alone, paired
    direction: Interval | None = None  # r / |r|, the better of two probes
    tally: Interval | None = None  # the label-free tally; None where the input is no sum
    tally_difference: Interval | None = None  # tally less accuracy, paired
    untrained: Interval | None = None
    transfer: Interval | None = None  # on sums of views of different objects less that on r, paired
    groups: int = 0  # of objects that are mixed with each other

    @property
    def chance(self) -> float:
        return 1 / self.counts

    def values(self) -> dict[str, float | str]:
        """Flat, as ``summary.json`` has it."""
        flat: dict[str, float | str] = {"probe": self.probe, "input": self.input, "chance": self.chance}
        for name in ("accuracy", "norm_only", "difference", "direction", "tally", "untrained", "transfer"):
            found: Interval | None = getattr(self, name)
            if found is not None:
                flat |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        return flat

    @property
    def tallied(self) -> bool:
        """Whether a tally that saw no count reads it as well as the probe."""
        if self.tally is None or self.tally_difference is None:
            return False
        return self.tally_difference.low >= -EQUIVALENT * (self.accuracy.value - self.chance)


class Told(NamedTuple):
    """What is told of one target: a rise with the count, or a difference to untrained networks."""

    target: str
    metric: str  # "accuracy" or "r2"
    first: float
    last: float
    difference: Interval  # last less first, paired
    above_pixels: Interval | None = None  # last less summed pixels', paired


def count_answer(found: CountEvidence) -> Answer:
    """Whether the number of context images can be read, and what that licenses."""
    name, guess = NAMES.get(found.input, found.input), f"guessing: {found.chance:.1%}"
    unseen = "1 unseen object" if found.objects == 1 else f"{found.objects} unseen objects"
    read = f"with accuracy {_share(found.accuracy)} on {unseen} ({guess})"
    numbers = found.accuracy._asdict()
    if found.accuracy.low <= found.chance:
        text = (
            f"That the number of views can be read from {name} is not shown: the {found.probe} probe names it {read}."
        )
        return Answer(COUNT, text, **numbers, licence="accuracy against guessing")
    text = f"Yes: the {found.probe} probe reads the number of views from {name} {read}"
    licence = "accuracy against guessing"
    if found.tally is not None and found.tallied:
        text += (
            f". That needs no more than a sum: a tally that has seen single views alone, and no count, names it with "
            f"{_share(found.tally)}; any sum of non-negative views can be counted"
        )
        licence = "the label-free tally"
    elif found.tally is not None:
        text += f"; a tally that has seen no count names it with {_share(found.tally)}"
        licence = "the label-free tally"
    text += f". Its length alone gives {_share(found.norm_only)}"
    if found.direction is not None:
        if found.direction.low > found.chance:
            text += f", and its direction, which has no length, {_share(found.direction)}"
        else:
            text += f"; that its direction tells the number, too, is not shown ({_share(found.direction)})"
        licence += ", r / |r|"
    if found.untrained is not None:
        text += f"; of untrained networks it can be read with {_share(found.untrained)}"
        licence += ", untrained networks"
    text += _mixtures(found)
    return Answer(COUNT, text + ".", **numbers, licence=licence)


def images_answer(input: str, counts: Sequence[int], told: Sequence[Told]) -> Answer:
    """What rises from the smallest to the largest count, and whether summed pixels tell as much."""
    name, span = NAMES.get(input, input), f"From {counts[0]} to {counts[-1]} images"
    if not told:
        return Answer(IMAGES, "No property of the objects was decoded, so what further images add is not known.")
    rising = [each for each in told if each.difference.low > 0]
    falling = [each for each in told if each.difference.high < 0]
    rest = [_words(each.target) for each in told if each not in (*rising, *falling)]
    parts = []
    if rising:
        parts.append(f"{name} tells more of {_list([_rise(each) for each in rising])}")
    if falling:
        parts.append(f"less of {_list([_rise(each) for each in falling])}")
    if rest:
        parts.append(f"no change is shown of {_list(rest)}")
    compared = [each for each in told if each.above_pixels is not None]
    above = [_words(each.target) for each in compared if each.above_pixels is not None and each.above_pixels.low > 0]
    text = f"{span}, {'; '.join(parts)}"
    if compared:
        text += f". At {counts[-1]} it tells " + (
            f"more than summed pixels of {_list(above)}" if above else "of none shown more than summed pixels"
        )
    first = (rising or list(told))[0]
    return Answer(IMAGES, text + ".", *first.difference, licence="paired rises on the same objects, summed pixels")


def training_answer(input: str, count: int, told: Sequence[Told]) -> Answer:
    """The paired difference to untrained networks of the same width, target by target."""
    if not told:
        text = "Not asked: the control of untrained networks was not run."
        return Answer(TRAINING, text)
    more = [each for each in told if each.difference.low > 0]
    less = [each for each in told if each.difference.high < 0]
    rest = [_words(each.target) for each in told if each not in (*more, *less)]
    parts = []
    if more:
        parts.append(f"more of {_list([_gain(each) for each in more])}")
    if less:
        parts.append(f"less of {_list([_gain(each) for each in less])}")
    text = f"At {count} images, {NAMES.get(input, input)} of the trained network tells "
    text += ", and ".join(parts) if parts else "no more that could be shown"
    text += " than that of untrained networks of the same width"
    if rest and parts:
        text += f"; no difference is shown of {_list(rest)}"
    first = (more or less or list(told))[0]
    return Answer(TRAINING, text + ".", *first.difference, licence="paired differences to untrained networks")


def _mixtures(found: CountEvidence) -> str:
    """Whether the probe counts summands of different objects as well; nothing is said of few groups."""
    if found.transfer is None or found.groups < LEAST_GROUPS:
        return ""
    points = _points(found.transfer)
    mixtures = "; sums of views of different objects are read"
    if found.transfer.low > 0:
        return f"{mixtures} better ({points})"
    if found.transfer.high < 0:
        return f"{mixtures} less well ({points})"
    if found.transfer.low < -EQUIVALENT * (found.accuracy.value - found.chance):
        return f"; whether sums of views of different objects are read as well cannot be told ({points})"
    as_well = f"{mixtures} as well ({points})"
    return f"{as_well}: the probe counts how many views were summed" if found.tallied else as_well


def _rise(each: Told) -> str:
    return f"{_words(each.target)} ({_metric(each)} {each.first:.2f} to {each.last:.2f}, {_signed(each.difference)})"


def _gain(each: Told) -> str:
    return (
        f"{_words(each.target)} ({_metric(each)} {each.last:.2f} against {each.first:.2f}, {_signed(each.difference)})"
    )


def _metric(each: Told) -> str:
    return "R²" if each.metric == "r2" else "accuracy"


def _words(target: str) -> str:
    return {"color_where": "which colour is where", "color": "mean colour"}.get(target, target.replace("_", " "))


def _list(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _share(found: Interval) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"


def _points(found: Interval) -> str:
    value, low, high = (f"{round(100 * share, 1) + 0.0:+.1f}" for share in found)  # no -0.0
    return f"{value} points, {low} to {high}"


def _signed(found: Interval) -> str:
    value, low, high = (f"{round(share, 2) + 0.0:+.2f}" for share in found)
    return f"{value}, {low} to {high}"
