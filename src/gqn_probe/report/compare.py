"""Page of a sweep over more than the context: its studies side by side in one figure and table."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gqn_probe.atomic_io import write_csv, write_text
from gqn_probe.report import style
from gqn_probe.report.glossary import METRICS, explain
from gqn_probe.report.html_elements import (
    Cell,
    Section,
    collapsible,
    document,
    escape,
    figures,
    interval,
    number,
    table,
    terms,
)
from gqn_probe.report.sweep_settings import (
    Comparison,
    Measure,
    Setting,
    collect_measures,
    compare_groups,
    read_settings,
)
from gqn_probe.results import Difference, Result, read_rows

COLUMNS = 3  # of panels, a panel a measure


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
    differences = compare_groups(settings, measures, read_rows(folder / "differences.csv", Difference))
    count = next((row.count for each in measures for row in each.found.values() if row.count is not None), None)
    lead = "The count is predicted over all counts" + (f"; all else is measured at {count} images." if count else ".")
    with style.style_context():
        drawn = draw_comparison(settings, measures)
        style.write_png(drawn, folder / "figures" / "compare.png")
        shown = style.to_html(drawn, "compare", f"Each dot is a study, each bar its 95 % interval over objects. {lead}")
    numbers = collapsible("Every measure in numbers", _table(settings, measures))
    parts = [
        Section("measures", "Every measure by setting", figures(shown) + numbers),
        Section("differences", "Differences to the first setting", _differences_table(differences, settings[0].group)),
        Section("studies", "The studies", _links(settings)),
    ]
    keys = dict.fromkeys(item.partition("=")[0] for s in settings for item in s.name.split(",") if "=" in item)
    head = f"<p>{len(settings)} studies that differ in {escape(', '.join(keys) or 'their settings')}.</p>"
    head += "".join(f'<p class="answer">{escape(text)}</p>' for text in answers(settings, measures, differences))
    path = folder / "compare.html"
    title = "What changes with the setting?"
    write_text(path, document("sweep", title, head=head, sections=[part for part in parts if part.body]))
    return path


def answers(settings: Sequence[Setting], measures: Sequence[Measure], differences: Sequence[Comparison]) -> list[str]:
    """Return a sentence for each further group: in which measures it is better or worse than the first."""
    first, told = settings[0].group, []
    for group in dict.fromkeys(each.group for each in differences):
        found: dict[str, list[str]] = {"better in": [], "worse in": [], "not shown to differ in": []}
        for each in differences:
            if each.group == group:
                gain = -each.sign if each.measure.metric == "sample_rmse" else each.sign
                verdict = "better in" if gain > 0 else "worse in" if gain < 0 else "not shown to differ in"
                found[verdict].append(each.measure.label)
        verdicts = "; ".join(f"{verdict} {', '.join(labels)}" for verdict, labels in found.items() if labels)
        told.append(f"Compared with {first}, {group} is {verdicts}.")
    repeated = [each for each in measures if len(each.found) > 1 and each.metric != "sample_rmse"]
    if not told and repeated:
        spread, label = max(
            (float(np.std([r.value for r in each.found.values()], ddof=1)), each.label) for each in repeated
        )
        told = [
            f"Of all accuracies and R², the one that varies most over seeds is of {label}, with an SD of {spread:.3f}."
        ]
    return told


def draw_comparison(settings: Sequence[Setting], measures: Sequence[Measure]) -> Figure:
    """Draw a panel for each measure, with a row for each group of settings and a dot for each study.

    A sweep over seeds alone has a row for each study.
    """
    groups = _by_group(settings)
    groups = groups if len(groups) > 1 else {each.name: [each.name] for each in settings}
    height = 1.0 + 0.3 * len(groups)
    drawn, grid = style.panel_grid(len(measures), most=COLUMNS, height=height, rest=0.3, sharey=True)
    for axes, measure in zip(grid, measures, strict=True):
        for height, names in enumerate(groups.values()):
            apart = np.arange(len(names)) / len(names) - (len(names) - 1) / (2 * len(names))  # at most half a row
            for place, name in zip(height + 0.4 * apart, names, strict=True):
                row = measure.found.get(name)
                if row is None:
                    continue
                if row.low is not None and row.high is not None:
                    axes.plot([row.low, row.high], [place, place], color=style.BLUE, linewidth=2, alpha=0.35)
                axes.plot(row.value, place, "o", color=style.BLUE, markersize=5)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_title(fill(measure.label, 60 // min(COLUMNS, len(measures))))
        axes.set_xlabel(METRICS[measure.metric].label)
        axes.set_yticks(range(len(groups)), list(groups))
        axes.set_ylim(len(groups) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
    return drawn


def _by_group(settings: Sequence[Setting]) -> dict[str, list[str]]:
    """Return the names of the settings of each group."""
    groups: dict[str, list[str]] = {}
    for each in settings:
        groups.setdefault(each.group, []).append(each.name)
    return groups


def _table(settings: Sequence[Setting], measures: Sequence[Measure]) -> str:
    """Return the table of measures by group: mean and spread over seeds, and the interval of a single study."""
    rows: list[list[Cell]] = []
    for measure in measures:
        for group, names in _by_group(settings).items():
            found = [measure.found[name] for name in names if name in measure.found]
            if found:
                values = [row.value for row in found]
                digits = measure.digits
                alone = interval(found[0].low, found[0].high, digits) if len(found) == 1 else ""
                spread = number(float(np.std(values, ddof=1)), digits) if len(values) > 1 else ""
                cells = [number(float(np.mean(values)), digits), spread, len(values), alone]
                rows.append([measure.label, group, METRICS[measure.metric].label, *cells])
    heads = ["measure", "setting", "metric", "mean", "SD over seeds", "studies", "95 % interval of a single study"]
    return table(heads, rows, text=("setting", "metric")) + terms(explain(measure.metric for measure in measures))


def _differences_table(differences: Sequence[Comparison], first: str) -> str:
    """Return the table of differences with its explanation; empty for none."""
    if not differences:
        return ""
    apart = any(each.over_objects and each.objects is None for each in differences)
    note = f"Difference: the setting's value less that of {first}. Intervals "
    note += "over objects compare each object with itself" if not apart else "join those of both studies where unpaired"
    note += "; they do not cover the variation between trainings of the network."
    rows: list[list[Cell]] = []
    for each in differences:
        digits = each.measure.digits
        objects = interval(*each.over_objects[1:], digits) if each.over_objects else ""
        cells = [number(each.value, digits), objects + (", unpaired" if objects and each.objects is None else "")]
        cells += ["" if each.objects is None else each.objects]
        cells += [interval(*each.over_seeds[1:], digits) if each.over_seeds else "", each.seeds]
        rows.append([each.measure.label, each.group, METRICS[each.measure.metric].label, *cells])
    heads = ["measure", "setting", "metric", "difference", "95 % interval over objects", "objects"]
    return f"<p>{escape(note)}</p>" + table(
        [*heads, "95 % interval over seeds", "seeds"], rows, text=("setting", "metric")
    )


def _links(settings: Sequence[Setting]) -> str:
    """Return a link to the page of each study, and its answers."""
    items = ""
    for name, study in settings:
        address = escape(f"{name}/study/report.html".replace("%", "%25").replace("#", "%23").replace("?", "%3F"))
        told = "".join(f"<p><b>{escape(a.question)}</b> {escape(a.text)}</p>" for a in study.answers)
        items += f'<dt><a href="{address}">{escape(name)}</a></dt><dd>{collapsible("Its answers", told)}</dd>'
    return f'<dl class="studies">{items}</dl>'
