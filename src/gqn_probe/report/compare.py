"""Studies of several settings side by side: one table, figure and page of a sweep over more than the context."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import t as student

from gqn_probe.atomic_io import write_csv, write_text
from gqn_probe.report import style
from gqn_probe.report.glossary import METRICS, explain, target_label
from gqn_probe.report.html_elements import (
    Cell,
    Section,
    document,
    escape,
    figure,
    figures,
    interval,
    number,
    table,
    terms,
)
from gqn_probe.report.study_results import Study, read_study
from gqn_probe.results import Difference, Interval, Result, read_rows

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


def read_settings(folder: Path) -> list[Setting]:
    """Read the studies of a sweep in the order of their names; none where the sweep was over the context alone.

    Analyses, which measure other things, are left out.
    """
    homes = sorted(results.parents[1] for results in folder.glob("*/study/results.csv"))
    settings = [Setting(home.name, read_study(home)) for home in homes]
    return [each for each in settings if not each.study.analysis]


def compare_settings(folder: Path) -> Path | None:
    """Write ``results.csv``, ``figures/compare.png`` and ``compare.html`` of a sweep.

    Returns:
        The page; None where there are fewer than two settings to compare.
    """
    settings = read_settings(folder)
    if len(settings) < 2:
        return None
    rows = ((each.name, *row) for each in settings for row in each.study.results)
    write_csv(folder / "results.csv", ("setting", *Result._fields), rows)
    measures = collect_measures(settings)
    by_object = read_rows(folder / "differences.csv", Difference)
    with style.style_context():
        drawn = draw_comparison(settings, measures)
        style.write_png(drawn, folder / "figures" / "compare.png")
        svg = style.inline_svg(style.svg_text(drawn, "compare"), "compare", "every measure by setting")
    caption = (
        "Each dot is a study; studies that differ in their seed alone share a row. Bars: 95 % interval over objects."
    )
    parts = [
        Section(
            "measures",
            "Every measure by setting",
            figures(figure(svg, caption, wide=style.is_wide(drawn))) + _table(settings, measures),
        ),
        Section("differences", "Differences to the first setting", _differences_table(settings, measures, by_object)),
        Section("studies", "The studies", _links(settings)),
    ]
    head = f"<p>{len(settings)} studies that differ in {escape(_differences(settings))}.</p>"
    path = folder / "compare.html"
    write_text(path, document("sweep", "What changes with the setting?", head=head, sections=parts))
    return path


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
        for label, metric, row in [("the count", "accuracy", accuracy), *at_largest]:
            if row is not None:
                found.setdefault((label, metric, row.target), {})[name] = row
    return [Measure(*measure, rows) for measure, rows in found.items()]


def pairs_by_group(settings: Sequence[Setting]) -> tuple[str, dict[str, list[tuple[Path, Path]]]]:
    """Pair each group's ``study`` folders with those of the first group on the same scenes and views.

    Returns:
        The first group's name, and the pairs of each other group.
    """
    groups = list(dict.fromkeys(each.group for each in settings))
    pairs: dict[str, list[tuple[Path, Path]]] = {}
    for own in settings:
        for other in settings:
            same = own.seed == other.seed and own.scenes == other.scenes is not None
            if own.group != groups[0] == other.group and same:
                pairs.setdefault(own.group, []).append((own.study.folder, other.study.folder))
    return groups[0], pairs


def draw_comparison(settings: Sequence[Setting], measures: Sequence[Measure]) -> Figure:
    """Draw a panel for each measure, with a row for each group of settings and a dot for each study."""
    groups = list(dict.fromkeys(each.group for each in settings))
    columns = min(3, len(measures))
    lines = -(-len(measures) // columns)
    drawn = style.new_figure(5.2 if columns == 1 else 10.3, lines * (1.0 + 0.3 * len(groups)) + 0.3)
    grid = drawn.subplots(lines, columns, squeeze=False, sharey=True)
    for axes, measure in zip(grid.flat, measures, strict=False):
        for name, study in settings:
            row = measure.found.get(name)
            if row is None:
                continue
            height = groups.index(Setting(name, study).group)
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [height, height], color=style.BLUE, linewidth=2, alpha=0.35)
            axes.plot(row.value, height, "o", color=style.BLUE, markersize=5)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_title(measure.label)
        axes.set_xlabel(METRICS[measure.metric].label)
        axes.set_yticks(range(len(groups)), groups)
        axes.set_ylim(len(groups) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
    for axes in grid.flat[len(measures) :]:
        axes.remove()
    return drawn


def _table(settings: Sequence[Setting], measures: Sequence[Measure]) -> str:
    """Return the table of measures by group: mean and spread over seeds, and the interval of a single study."""
    rows: list[list[Cell]] = []
    groups: dict[str, list[Setting]] = {}
    for each in settings:
        groups.setdefault(each.group, []).append(each)
    for measure in measures:
        for group, members in groups.items():
            found = [measure.found[each.name] for each in members if each.name in measure.found]
            if found:
                values = [row.value for row in found]
                alone = interval(found[0].low, found[0].high, 3) if len(found) == 1 else ""
                spread = number(float(np.std(values, ddof=1)), 3) if len(values) > 1 else ""
                cells = [number(float(np.mean(values)), 3), spread, len(values), alone]
                rows.append([measure.label, group, METRICS[measure.metric].label, *cells])
    heads = ["measure", "setting", "metric", "mean", "SD over seeds", "studies", "95 % interval of a single study"]
    return table(heads, rows, text=("setting", "metric")) + terms(explain(measure.metric for measure in measures))


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


def _differences_table(
    settings: Sequence[Setting], measures: Sequence[Measure], by_object: Sequence[Difference]
) -> str:
    """Return the table of differences to the first group, over the same objects and over seeds."""
    groups = list(dict.fromkeys(each.group for each in settings))
    paired = {(d.setting, d.target, d.metric, d.count): d for d in by_object}
    rows: list[list[Cell]] = []
    for measure in measures:
        count = next(iter(measure.found.values())).count
        for group in groups[1:]:
            found = paired_differences(settings, measure, group, groups[0])
            if found is None:
                continue
            (value, low, high), seeds = found
            same = paired.get((group, measure.target, measure.metric, count))
            over_objects = interval(same.low, same.high, 3) if same else ""
            of_seeds = interval(low, high, 3) if seeds > 1 else ""
            if same is None and seeds == 1 and not np.isnan(low):
                over_objects = f"{interval(low, high, 3)}, unpaired"
            cells = [
                number(same.value if same else value, 3),
                over_objects,
                same.objects if same else "",
                of_seeds,
                seeds,
            ]
            rows.append([measure.label, group, METRICS[measure.metric].label, *cells])
    if not rows:
        return "<p>The settings differ in their seeds alone.</p>"
    heads = ["measure", "setting", "metric", "difference", "95 % interval over objects", "objects"]
    note = (
        f"<p>Difference: the setting's value less that of {escape(groups[0])}. Intervals over objects compare each "
        "object with itself, pooled over seeds; they do not cover the variation between trainings of the network. With "
        "several seeds, a t interval over the seeds' differences is given, too.</p>"
    )
    return note + table([*heads, "95 % interval over seeds", "seeds"], rows, text=("setting", "metric"))


def _links(settings: Sequence[Setting]) -> str:
    items = ""
    for name, study in settings:
        address = escape(f"{name}/study/report.html".replace("%", "%25").replace("#", "%23").replace("?", "%3F"))
        answers = " ".join(answer.text for answer in study.answers)
        items += f'<dt><a href="{address}">{escape(name)}</a></dt><dd>{escape(answers)}</dd>'
    return f'<dl class="studies">{items}</dl>'


def _differences(settings: Sequence[Setting]) -> str:
    keys = dict.fromkeys(item.partition("=")[0] for each in settings for item in each.name.split(",") if "=" in item)
    return ", ".join(keys) or "their settings"
