"""Sections of the report page, in reading order; each is left out where the study has no data for it."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from gqn_probe.report.figure_registry import Drawing
from gqn_probe.report.glossary import CONTROLS, METRICS, PROBES, Term, explain, target_label
from gqn_probe.report.html_elements import (
    Cell,
    Section,
    collapsible,
    data_url,
    escape,
    figures,
    interval,
    number,
    settings,
    table,
    terms,
)
from gqn_probe.report.section_registry import SECTIONS, ordered_sections, study_section
from gqn_probe.report.study_results import Study
from gqn_probe.report.viewer import viewer
from gqn_probe.results import Result

OVERALL = (
    "within_one",
    "mean_absolute_error",
    "spearman",
    "selectivity",
    "permutation_p",
    "description_length",
    "extrapolation_mean_absolute_error",
)


def sections(study: Study, drawings: Sequence[Drawing]) -> list[Section]:
    """Return the sections that the study has data for.

    Figures of unregistered sections go to one of their own; figures shown beside the answers go to none.
    """
    made = []
    for id, plan in ordered_sections().items():
        own = [d for d in drawings if d.section == id or (id == "more" and d.section not in SECTIONS)]
        own = [d for d in own if not d.first]
        shown = [d for d in own if not d.folded] or own
        folded = [d for d in own if d not in shown]
        body = figures(*(d.html for d in shown))
        body += collapsible("More figures", figures(*(d.html for d in folded))) + plan.body(study)
        if body:
            made.append(Section(id, plan.title, (f"<p>{plan.lead}</p>\n" if plan.lead else "") + body))
    return made


@study_section(
    "viewer",
    "Look around",
    "Objects of the study from any side. Each prediction is the mean of several samples, drawn from the camera and the "
    "scene representation r alone: the sum of the codes of the context images.",
)
def _viewer(study: Study) -> str:
    return viewer(study.folder / "viewer")


@study_section(
    "predictions",
    "Does it predict?",
    "A view that is not among the context images is predicted from r and its camera alone. Its error should fall with "
    "every further image, and be smaller than that of a prediction from another object's images.",
)
def _errors(study: Study) -> str:
    names = ("sample_rmse", "rmse", "shuffled_rmse", "nearest_rmse", "mean_rmse", "averaged_rmse", "spread_rmse", "kl")
    columns = {name: study.reconstruction_series(name) for name in names}
    return collapsible("Every count in numbers", _by_count(study, columns, digits=1, bounds=("sample_rmse",)))


@study_section(
    "knowledge",
    "What can be decoded from r?",
    "Probes learn a property of the object or of its cameras from r of some objects, and are tested on others. k is "
    "the number of context images.",
)
def _knowledge(study: Study) -> str:
    """Return every property at the smallest and largest count, beside its baselines."""
    rows: list[list[Cell]] = []
    for target in study.object_targets:
        for line in study.lines_of(target):
            least, most = line.rows[0], line.rows[-1]
            values = [number(least.value), number(most.value), interval(most.low, most.high)]
            rows.append([target_label(target), line.label, METRICS[line.metric].label, *values])
    if not rows:
        return ""
    every = [row for target in study.object_targets for line in study.lines_of(target) for row in line.rows]
    counts = [row.count for row in every if row.count is not None]
    last = f"k = {max(counts)}"
    heads = ["property", "decoded from", "metric", f"k = {min(counts)}", last, f"95 % interval, {last}"]
    body = table(heads, rows, text=("decoded from", "metric"))
    meanings = terms(explain(["accuracy", "r2", *study.object_targets]))
    return collapsible("Every property, input and probe", body) + collapsible("What the properties are", meanings)


@study_section(
    "counts",
    "Can the number of images be decoded from r?",
    "The count is the number of context images that r is the sum of. A probe learns it from r of some objects, and is "
    "tested on others.",
)
def _counts(study: Study) -> str:
    length = study.control_label("norm", study.input)
    columns = {
        "accuracy": study.series("accuracy", probe=study.probe),
        length: study.series("accuracy", control="norm", probe=study.probe),
        "adjacent_auc": study.series("adjacent_auc", probe=study.probe),
    }
    return collapsible("Every count in numbers", _by_count(study, columns, digits=3))


def _by_count(
    study: Study, columns: dict[str, list[Result]], *, digits: int, bounds: Collection[str] | None = None
) -> str:
    """Return a table of metrics by count, with the intervals of those in ``bounds``, and definitions of the metrics."""
    heads, cells = [study.count_axis], []
    for name, rows in columns.items():
        by_count = {row.count: row for row in rows}
        if by_count:
            heads.append(METRICS[name].label if name in METRICS else name)
            cells.append({count: number(row.value, digits) for count, row in by_count.items()})
        if any(row.low is not None for row in rows) and (bounds is None or name in bounds):
            heads.append("95 % interval")
            cells.append({count: interval(row.low, row.high, digits) for count, row in by_count.items()})
    counts = sorted({count for column in cells for count in column if count is not None})
    if not counts:
        return ""
    body = table(heads, [[count, *(column.get(count, "") for column in cells)] for count in counts])
    return body + terms(explain(name for name, rows in columns.items() if rows))


@study_section(
    "controls",
    "Why can the count be decoded?",
    "Each control changes the probe's input. Where the count is decoded as well under a control as from r, what the "
    "control leaves of r is enough.",
)
def _controls(study: Study) -> str:
    rows = study.control_rows()
    main, others = ([r for r in rows if (r.probe == study.probe) == is_main] for is_main in (True, False))
    if len(main) < 2:
        return ""
    more = collapsible("Other probes in numbers", _scores(study, others)) if others else ""
    shown = [name for name in OVERALL if any(r.metric == name for r in study.results)]
    meanings = terms([*_control_terms(study, main), *explain(["accuracy", *shown])])
    numbers = collapsible("Every control in numbers", _scores(study, main))
    return numbers + more + collapsible("What the controls, probes and metrics are", meanings)


def _control_terms(study: Study, rows: Sequence[Result]) -> list[Term]:
    """Return definitions of these rows' controls and of every probe, under the study's labels."""
    controls = {row.control: CONTROLS[row.control] for row in rows if row.control in CONTROLS}
    probes = {row.probe: PROBES[row.probe] for row in study.control_rows() if row.probe in PROBES}
    pooled = {"pooled": "r averaged over positions"} if any(row.input == "pooled" for row in rows) else {}
    return [Term(study.label(name), meaning) for name, meaning in (controls | pooled | probes).items()]


def _scores(study: Study, rows: list[Result]) -> str:
    columns: dict[str, list[Cell]] = {
        "input": [study.control_label(r.control, r.input) for r in rows],
        "probe": [study.label(r.probe) if r.probe != study.probe else "" for r in rows],
        "accuracy": [number(r.value, 3) for r in rows],
        "95 % interval": [interval(r.low, r.high, 3) for r in rows],
    }
    columns |= {METRICS[name].label: [_overall_cell(study, r, name) for r in rows] for name in OVERALL}
    return table(list(columns), zip(*columns.values(), strict=True), text=("probe",))


def _overall_cell(study: Study, row: Result, metric: str) -> Cell:
    found = study.overall(metric, control=row.control, probe=row.probe, input=row.input)
    return number(found.value if found else None, digits=3 if metric == "permutation_p" else 2)


def introduction(study: Study) -> list[str]:
    """Return sentences that say what r, the network, the data, a probe and a count are."""
    config = study.provenance.get("config", {})
    features, weights = config.get("features"), config.get("checkpoint")
    if features:
        said = [
            f"The features of another network, from {Path(features).name}, take the place of a GQN's codes: the sum of "
            "those of the context images stands for the scene representation r."
        ]
    else:
        said = [
            "A Generative Query Network (GQN; Eslami et al. 2018) encodes each context image together with its camera. "
            "The sum of the codes is the scene representation r, from which it predicts the views of other cameras."
        ]
        if weights:
            said.append(
                "The weights are " + ("those bundled with gqn-probe." if weights == "pretrained" else f"{weights}.")
            )
    if scenes := _scenes_name(config.get("data", {})):
        split = config.get("split", "test")
        known = "was not trained on them" if split in ("val", "test") else "may have been trained on them"
        said.append(f"The scenes are the {split} split of {scenes}" + ("." if features else f"; the network {known}."))
    if not study.analysis:
        said += [
            "A probe is a classifier or a regression that decodes a property from r; it is scored on other objects "
            "than it was fitted to.",
            str(study.summary.get("convention", "")),
        ]
    return [text for text in said if text]


def _scenes_name(data: Mapping[str, Any]) -> str:
    """Return what the scenes are: a published dataset, a folder, rendered objects, or a class of the user's."""
    if named := data.get("name") or data.get("root"):
        return str(named)
    if parts := data.get("parts"):
        numbers = parts if isinstance(parts, list) else [parts]
        return f"rendered objects of {', '.join(map(str, numbers))} cubes"
    return data.get("source", "").rpartition(".")[2]


def method_paragraphs(study: Study) -> list[str]:
    """Return paragraphs that say how it was measured."""
    summary, chosen = study.summary, study.summary.get("settings", {})
    said = [str(summary.get("convention", ""))] if study.analysis else []
    if chosen.get("protocol") == "original":
        said.append(
            f"Of {summary['objects']} objects, views are drawn anew for every label. The classifier is trained on the "
            "first 80 % of the rows in scene order and validated on the rest; intervals are Wilson's, over rows."
        )
    elif "seeds" in chosen and not study.analysis:
        said.append(
            f"{summary['objects']} objects were studied at counts {min(summary['counts'])} to "
            f"{max(summary['counts'])}: each view is encoded once, and r is the sum of the first views in a random "
            f"order drawn for each object. With each of {chosen['seeds']} seeds a probe is trained on some objects, "
            "its regularisation chosen on others, and scored on a third set; scores are pooled over seeds. Intervals "
            "are over objects, with the same resamples for all inputs, so that differences are paired; they do not "
            "cover the variation between trainings of the network. p values permute the labels within objects "
            f"({chosen['permutations']} times)."
        )
    return said


@study_section("more", "More figures", closing=True)
@study_section(
    "training",
    "How was the classifier trained?",
    "With each seed, a classifier is trained on a different part of the objects.",
)
@study_section(  # decorators are applied from the last
    "similarity",
    "How does r change with the count?",
    "r grows with every image that is added. How differently does it then arrange the same objects?",
)
def _figures_alone(study: Study) -> str:
    return ""


@study_section("methods", "Methods", closing=True)
def _methods(study: Study) -> str:
    values = study.provenance.get("config") or study.summary.get("settings")
    every = collapsible("Every setting", settings(values)) if values else ""
    paragraphs = [*method_paragraphs(study), *study.summary.get("notes", [])]
    return "\n".join(f"<p>{escape(text)}</p>" for text in paragraphs) + every


@study_section("reproduce", "Reproduce", closing=True)
def _reproduce(study: Study) -> str:
    command = study.provenance.get("command")
    parts = [f"<pre>{escape(command)}</pre>"] if command else []
    rest = {k: v for k, v in study.provenance.items() if k not in ("config", "command")}
    if rest:
        parts.append(settings(rest))
    data = data_url((study.folder / "results.csv").read_bytes(), "text/csv")
    link = f'<a download="results.csv" href="{data}">'
    parts.append(f"<p>{link}Download every number of this page (results.csv)</a></p>")
    return "\n".join(parts)
