"""Studies of a sweep by setting: their measures, and differences between groups of settings."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from gqn_probe.report.glossary import target_label
from gqn_probe.report.study_results import Study, read_study
from gqn_probe.results import Difference, Interval, Result, StudyPair

SEED = re.compile(r"(?:^|,)\+*seed=\d+(?=,|$)")  # what settings that differ in their seeds alone do not share


class Setting(NamedTuple):
    """Study of a sweep, and the settings that were overridden for it."""

    name: str  # such as "checkpoint=a,seed=0"
    study: Study

    @property
    def seed(self) -> str:
        """Seed in the setting's name: settings of equal seeds have the same objects, views and splits."""
        return (SEED.search(self.name) or [""])[0].strip(",")

    @property
    def scenes(self) -> str | None:
        """Fingerprint of the data; None where it is unknown."""
        return self.study.provenance.get("data")

    @property
    def group(self) -> str:
        """Name without the seed: settings of one group are repetitions of each other."""
        return SEED.sub("", self.name).strip(",") or "every seed"


class Measure(NamedTuple):
    """Column of the comparison: its label, and its value in each setting that has it."""

    label: str
    metric: str
    target: str
    found: dict[str, Result]  # by the setting's name

    @property
    def digits(self) -> int:
        """Digits after the point: fewer of grey levels than of shares."""
        return 2 if self.metric == "sample_rmse" else 3


class Comparison(NamedTuple):
    """A group's measure less that of the first group."""

    measure: Measure
    group: str
    value: float
    over_objects: Interval | None
    objects: int | None  # that both have, each compared with itself; None where two intervals are joined as if apart
    over_seeds: Interval | None
    seeds: int

    @property
    def sign(self) -> int:
        """1 or -1 where every interval is on that side of 0, else 0."""
        known = [each for each in (self.over_objects, self.over_seeds) if each is not None]
        signs = {(each.low > 0) - (each.high < 0) for each in known}
        return signs.pop() if len(signs) == 1 else 0


def read_settings(folder: Path) -> list[Setting]:
    """Read the studies of a sweep in the order of their names; none where the sweep was over the context alone.

    Analyses, which measure other things, are left out.
    """
    homes = sorted(results.parents[1] for results in folder.glob("*/study/results.csv"))
    settings = [Setting(home.name, read_study(home)) for home in homes]
    return [each for each in settings if not each.study.analysis]


def collect_measures(settings: Sequence[Setting]) -> list[Measure]:
    """Return accuracy of the count, prediction error and every property at the largest count that all settings have."""
    counts = [{r.count for r in each.study.results if r.count is not None} for each in settings]
    largest = max(set.intersection(*counts), default=None)
    found: dict[tuple[str, str, str], dict[str, Result]] = {}
    for name, study in settings:
        accuracy = study.overall("accuracy", probe=study.probe, input=study.input)
        series = [("error of the prediction", "sample_rmse", study.reconstruction_series("sample_rmse"))]
        series += [(target_label(t), metric, rows) for t, metric, rows in study.decodability_series()]
        at_largest = [(label, metric, r) for label, metric, rows in series for r in rows if r.count == largest]
        for label, metric, row in [("number of images", "accuracy", accuracy), *at_largest]:
            if row is not None:
                found.setdefault((label, metric, row.target), {})[name] = row
    return [Measure(*measure, rows) for measure, rows in found.items()]


def pairs_by_group(settings: Sequence[Setting]) -> tuple[str, dict[str, list[StudyPair]]]:
    """Pair each group's ``study`` folders with those of the first group on the same scenes and views.

    Returns:
        The first group's name, and the pairs of each other group.
    """
    groups = list(dict.fromkeys(each.group for each in settings))
    pairs: dict[str, list[StudyPair]] = {}
    for own in settings:
        for other in settings:
            same = own.seed == other.seed and own.scenes == other.scenes
            if own.group != groups[0] == other.group and same and own.scenes is not None:
                pair = StudyPair(own.study.folder, other.study.folder, own.scenes)
                pairs.setdefault(own.group, []).append(pair)
    return groups[0], pairs


def compare_groups(
    settings: Sequence[Setting], measures: Sequence[Measure], by_object: Sequence[Difference]
) -> list[Comparison]:
    """Return every measure of every group but the first less that of the first, over objects and over seeds."""
    first, *others = dict.fromkeys(each.group for each in settings)
    paired = {(d.setting, d.target, d.metric, d.count): d for d in by_object}
    compared = []
    for measure in measures:
        count = next(iter(measure.found.values())).count
        for group in others:
            found = paired_differences(settings, measure, group, first)
            if found is None:
                continue
            whole, seeds = found
            over_seeds = whole if seeds > 1 else None
            same = paired.get((group, measure.target, measure.metric, count))
            if same is not None:
                each = Interval(same.value, same.low, same.high)
                compared.append(Comparison(measure, group, same.value, each, same.objects, over_seeds, seeds))
            else:
                apart = whole if seeds == 1 and not np.isnan(whole.low) else None
                compared.append(Comparison(measure, group, whole.value, apart, None, over_seeds, seeds))
    return compared


def paired_differences(
    settings: Sequence[Setting], measure: Measure, group: str, first: str
) -> tuple[Interval, int] | None:
    """Return a group's measure less that of the first, and the number of shared seeds; None where they share none.

    Of two or more seeds the interval is a t interval over their differences: it holds for other seeds, too. Of one it
    joins the intervals over objects as if those were apart (Newcombe 1998, method 10): where they are the same, the
    true one is narrower.
    """
    found = [
        {each.seed: measure.found[each.name] for each in settings if each.group == name and each.name in measure.found}
        for name in (group, first)
    ]
    pairs = [(found[0][seed], found[1][seed]) for seed in found[0] if seed in found[1]]
    if not pairs:
        return None
    values = np.array([own.value - other.value for own, other in pairs])
    middle = float(values.mean())
    if len(pairs) > 1:
        half = float(student.ppf(0.975, len(pairs) - 1) * values.std(ddof=1) / len(pairs) ** 0.5)
        return Interval(middle, middle - half, middle + half), len(pairs)
    own, other = pairs[0]
    if None in (own.low, own.high, other.low, other.high):
        return Interval(middle, float("nan"), float("nan")), 1
    below = float(np.hypot(own.value - (own.low or 0), (other.high or 0) - other.value))
    above = float(np.hypot((own.high or 0) - own.value, other.value - (other.low or 0)))
    return Interval(middle, middle - below, middle + above), 1
