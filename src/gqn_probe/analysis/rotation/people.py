"""Trials of people beside the network's: accuracy and response time by angle, and agreement about difficult items.

An item is an object at an angle, beside itself or its mirror image. People's agreement about items bounds the
network's correlation with them: the correlation of halves of the people, stepped up to all (Spearman 1910; Brown 1910),
is the reliability of their means, and its root the highest correlation to expect.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import t as student

from gqn_probe.analysis.statistics.intervals import ClusterSums, cluster_sums, mean_interval
from gqn_probe.results import Interval, Result

STIMULUS = re.compile(r"(R?)(.*?)(?:Y[\d.]+)?(?:\.pct)?")  # as R3_4_3_2_90Y150: mirror image, object, angle
REQUIRED = ("subject", "stimulus", "angle", "rt", "correct")
SPLITS = 200  # random halves of the people
NEARLY_ONE = 1 - 1e-9  # beyond which Fisher's z is not finite
NAME = ("people", "", "none", "")
FEWEST = 4  # people that have halves; items that have a correlation
FEWEST_OBJECTS = 3  # that have an interval


class Trial(NamedTuple):
    """One answer of a person."""

    subject: str
    object: str
    same: bool  # whether the second view was of the object itself, not of its mirror image
    angle: float  # degrees
    rt: float  # milliseconds
    correct: bool


Item = tuple[str, float, bool]  # object, angle, whether it is the same


def read_trials(path: str | Path, objects: Sequence[str]) -> list[Trial]:
    """Read a CSV with columns ``subject``, ``stimulus``, ``angle``, ``rt`` (ms) and ``correct`` (0 or 1).

    ``stimulus`` is the name of an object. A column ``same`` (0 or 1) says whether it was shown beside itself; without
    it, an R before the name means beside its mirror image. What follows the name as Y150 or .pct is left out.

    Raises:
        ValueError: a column is missing, a cell is no number, or no stimulus is one of ``objects``.
    """
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in REQUIRED if name not in (reader.fieldnames or ())]:
            raise ValueError(f"{path} lacks the column {', '.join(missing)}; its columns are {reader.fieldnames}")
        found = [_trial(row, f"{path} line {reader.line_num}", objects) for row in reader]
    known = [trial for trial in found if trial is not None]
    if not known:
        raise ValueError(f"no stimulus of {path} is the name of an object, such as {objects[0]!r}: use the same names")
    return known


def _trial(row: Mapping[str, str], where: str, objects: Sequence[str]) -> Trial | None:
    """Parse a row; None for a stimulus that is none of the objects."""
    name, same = row["stimulus"].strip(), row.get("same", "")
    if name not in objects:
        matched = STIMULUS.fullmatch(name)
        assert matched is not None, "every part may be empty"
        name, same = matched[2], same or ("0" if matched[1] else "1")
    if name not in objects:
        return None
    try:
        correct, beside = (bool(("0", "1").index(str(int(float(text))))) for text in (row["correct"], same or "1"))
        trial = Trial(row["subject"], name, beside, float(row["angle"]), float(row["rt"]), correct)
    except ValueError:
        raise ValueError(f"{where} is not a trial: angle and rt must be numbers, correct and same 0 or 1") from None
    if not trial.rt > 0:
        raise ValueError(f"{where} has rt={trial.rt:g}: response times are milliseconds above 0")
    return trial


def behaviour_rows(trials: Sequence[Trial]) -> Iterator[Result]:
    """Yield people's accuracy by angle, their response time (right answers to the same object) and its slope.

    Intervals are over people.
    """
    people = sorted({trial.subject for trial in trials})
    number = torch.tensor([people.index(trial.subject) for trial in trials])
    angle = torch.tensor([trial.angle for trial in trials])
    right = torch.tensor([float(trial.correct) for trial in trials])
    timed = torch.tensor([trial.correct and trial.same for trial in trials])
    times = torch.tensor([trial.rt for trial in trials], dtype=torch.float64)
    for each in angle.unique().tolist():
        for metric, values, rows in (("accuracy", right, angle == each), ("rt", times, (angle == each) & timed)):
            if rows.any():
                means = _person_means(values[rows], number[rows], len(people))
                yield Result.pooled(NAME, metric, means, n=int(rows.sum()))._replace(angle=each)
    slopes = [_slope(angle[rows], times[rows]) for rows in ((number == i) & timed for i in range(len(people)))]
    known = torch.tensor([slope for slope in slopes if slope is not None], dtype=torch.float64)
    if len(known) > 1:
        found = mean_interval(ClusterSums(known, torch.ones_like(known)))
        yield Result.pooled(NAME, "rt_slope", found, n=len(known))


def _person_means(values: torch.Tensor, people: torch.Tensor, total: int) -> Interval:
    sums = cluster_sums(values, people, total)
    there = sums.nonempty()
    means = sums.sums[there] / sums.rows[there]
    return mean_interval(ClusterSums(means, torch.ones_like(means)))


def _slope(x: torch.Tensor, y: torch.Tensor) -> float | None:
    x = x.double() - x.double().mean() if len(x) else x
    return float((x * y).sum() / x.square().sum()) if len(x) > 1 and x.abs().sum() > 0 else None


class ItemTable(NamedTuple):
    """Mean error and response time of each person for each item; NaN where there is none."""

    items: list[Item]
    errors: Float[np.ndarray, "subject item"]
    times: Float[np.ndarray, "subject item"]  # ms of right answers, less the person's mean


def item_table(trials: Sequence[Trial]) -> ItemTable:
    """Average each person's answers to each item."""
    items = sorted({(t.object, t.angle, t.same) for t in trials})
    people = sorted({t.subject for t in trials})
    row, column = {p: i for i, p in enumerate(people)}, {item: i for i, item in enumerate(items)}
    sums = np.zeros((4, len(people), len(items)))  # errors and how many, times and how many
    for t in trials:
        place = row[t.subject], column[t.object, t.angle, t.same]
        sums[(slice(0, 2), *place)] += not t.correct, 1
        if t.correct:
            sums[(slice(2, 4), *place)] += t.rt, 1
    with np.errstate(invalid="ignore"):
        errors, times = sums[0] / sums[1], sums[2] / sums[3]
    centre = sums[2].sum(axis=1) / np.maximum(sums[3].sum(axis=1), 1)
    return ItemTable(items, errors, times - centre[:, None])


def item_rows(trials: Sequence[Trial], hard: Mapping[Item, float], case: Sequence[str], seed: int) -> Iterator[Result]:
    """Yield correlations of an item's difficulty for the network with people's errors and times, and their ceilings.

    ``item_NAME`` is Pearson's correlation over items, ``item_NAME_within`` the same within angles and kinds of trial;
    ``..._ceiling`` is what people's reliability leaves. Intervals: a jackknife over objects.
    """
    table = item_table(trials)
    ours = np.array([hard.get(item, math.nan) for item in table.items])
    owners = np.array([item[0] for item in table.items])
    kinds = [*dict.fromkeys(item[1:] for item in table.items)]
    strata = np.array([kinds.index(item[1:]) for item in table.items])
    for name, values in (("errors", table.errors), ("times", table.times)):
        means = _item_means(values)
        there = np.isfinite(means) & np.isfinite(ours)
        for suffix, within in (("", None), ("_within", strata)):
            x, y = (_less_means(np.where(there, each, np.nan), within) for each in (ours, means))
            found = _correlation(x, y)
            if there.sum() < FEWEST or found is None:
                continue
            label = f"item_{name}{suffix}"
            yield Result.pooled(case, label, Interval(found, *_jackknife(found, x, y, owners)), n=int(there.sum()))
            ceiling = _ceiling(np.where(there, values, np.nan), within, seed)
            if ceiling is not None:
                row = Result.pooled(case, f"{label}_ceiling", Interval(ceiling, ceiling, ceiling), n=len(values))
                yield row._replace(low=None, high=None)


def _item_means(values: Float[np.ndarray, "subject item"]) -> Float[np.ndarray, " item"]:
    known = np.isfinite(values)
    sums = np.where(known, values, 0).sum(axis=0)
    return np.where(known.any(axis=0), sums / np.maximum(known.sum(axis=0), 1), np.nan)


def _less_means(
    values: Float[np.ndarray, " item"], strata: Int[np.ndarray, " item"] | None
) -> Float[np.ndarray, " item"]:
    """Subtract the mean of each stratum; None leaves the values as they are."""
    if strata is None:
        return values
    left = values.copy()
    for stratum in np.unique(strata):
        own = (strata == stratum) & np.isfinite(values)
        if own.any():
            left[own] -= values[own].mean()
    return left


def _correlation(x: Float[np.ndarray, " item"], y: Float[np.ndarray, " item"]) -> float | None:
    """Correlate items that both have; None for fewer than 3, or where one does not vary."""
    there = np.isfinite(x) & np.isfinite(y)
    if there.sum() < 3 or x[there].std() < 1e-12 or y[there].std() < 1e-12:
        return None
    return float(np.corrcoef(x[there], y[there])[0, 1])


def _jackknife(
    found: float, x: Float[np.ndarray, " item"], y: Float[np.ndarray, " item"], owners: np.ndarray
) -> tuple[float, float]:
    """Return a t interval of Fisher's z of the correlation by a jackknife over objects (Efron & Stein 1981).

    Percentiles of a bootstrap over objects cover the true value of 10 objects in 89 % of cases, this in 95 %.
    """
    names = np.unique(owners)
    left = [_correlation(x[owners != name], y[owners != name]) for name in names]
    z = np.arctanh(np.clip([each for each in left if each is not None], -NEARLY_ONE, NEARLY_ONE))
    if len(z) < FEWEST_OBJECTS:
        return -1.0, 1.0
    deviation = float(np.sqrt((len(z) - 1) / len(z) * np.square(z - z.mean()).sum()))
    half = float(student.ppf(0.975, len(z) - 1)) * deviation
    middle = math.atanh(min(max(found, -NEARLY_ONE), NEARLY_ONE))
    return math.tanh(middle - half), math.tanh(middle + half)


def _ceiling(
    values: Float[np.ndarray, "subject item"], strata: Int[np.ndarray, " item"] | None, seed: int
) -> float | None:
    """Return the root of the reliability of item means; None for too few people, 0 where halves do not agree."""
    if len(values) < FEWEST:
        return None
    rng, found = np.random.default_rng([seed, 2]), []
    for _ in range(SPLITS):
        order = rng.permutation(len(values))
        halves = (_less_means(_item_means(values[part]), strata) for part in np.array_split(order, 2))
        one = _correlation(*halves)
        if one is not None:
            found.append(one)
    if not found:
        return None
    half = float(np.mean(found))
    return math.sqrt(max(2 * half / (1 + half), 0.0)) if half > -1 else 0.0
