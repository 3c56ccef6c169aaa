"""The sections of the report page, each left out where the study has no data for it."""

import base64
from collections.abc import Callable
from typing import NamedTuple

from gqn_probe.report.figures.accuracy import TARGETS
from gqn_probe.report.html_elements import (
    Cell,
    escape,
    figure,
    figures,
    interval,
    number,
    settings,
    table,
)
from gqn_probe.results import Result
from gqn_probe.study_results import Study

OVERALL = {
    "within_one": "within ±1",
    "mean_absolute_error": "mean error (images)",
    "spearman": "Spearman ρ",
    "selectivity": "selectivity",
    "permutation_p": "permutation p",
    "description_length": "code (bits a label)",
    "extrapolation_mean_absolute_error": "error beyond trained counts",
}


class Section(NamedTuple):
    """A part of the page: anchor, heading, HTML."""

    id: str
    title: str
    body: str


def sections(study: Study, drawings: dict[str, str]) -> list[Section]:
    """The sections that the study has data for, in reading order; ``drawings`` are SVGs by figure name."""
    makers: dict[str, tuple[str, Callable[[Study, dict[str, str]], str]]] = {
        "counts": ("Count by count", _counts),
        "reconstructions": ("What the model draws", _reconstructions),
        "controls": ("What else tells the count", _controls),
        "confusion": ("Which counts are mistaken", _confusion),
        "knowledge": ("What r knows of the object and the views", _knowledge),
        "similarity": ("How alike the counts are", _similarity),
        "training": ("Training the classifier", _training),
        "methods": ("Methods", _methods),
        "reproduce": ("Reproduce", _reproduce),
    }
    made = [Section(id, title, make(study, drawings)) for id, (title, make) in makers.items()]
    return [section for section in made if section.body]


def _counts(study: Study, drawings: dict[str, str]) -> str:
    columns: dict[str, tuple[list[Result], int]] = {
        "accuracy": (study.series("accuracy", probe=study.probe), 2),
        study.control_label("norm", study.input): (study.series("accuracy", control="norm", probe=study.probe), 2),
        "AUC to the next": (study.series("adjacent_auc", probe=study.probe), 2),
        "reconstruction RMSE": (study.reconstruction_series(), 1),
        "sample RMSE": (study.reconstruction_series("sample_rmse"), 1),
    }
    heads, cells = [study.count_axis], []
    for name, (rows, digits) in columns.items():
        by_count = {row.count: row for row in rows}
        if by_count:
            heads.append(name)
            cells.append({count: number(row.value, digits) for count, row in by_count.items()})
        if any(row.low is not None for row in rows) and digits == 2:
            heads.append("95 % interval")
            cells.append({count: interval(row.low, row.high) for count, row in by_count.items()})
    counts = sorted({count for column in cells for count in column})
    return table(heads, [[count, *(column.get(count, "") for column in cells)] for count in counts]) if counts else ""


def _reconstructions(study: Study, drawings: dict[str, str]) -> str:
    seen = study.pictures.get("query_seen")
    star = " * The query is among the context images." if seen is not None and seen.any() else ""
    return figures(
        figure(
            drawings.get("reconstructions", ""),
            "A view held out of the context, reconstructed with the view itself at hand (posterior) and sampled "
            "from the representation alone (prior). RMSE in grey levels, 0 to 255." + star,
        ),
        figure(
            drawings.get("reconstruction-error", ""),
            "Root mean squared error of the held-out view by count, in grey levels, beside samples from the "
            "representation of another scene, the context view of the nearest camera, and the mean image. Bands: "
            "95 % interval.",
        ),
    )


def _controls(study: Study, drawings: dict[str, str]) -> str:
    rows = study.control_rows()
    main, others = ([r for r in rows if (r.probe == study.probe) == is_main] for is_main in (True, False))
    if len(rows) < 2:
        return ""
    picture = figure(
        drawings.get("controls", ""),
        f"Held-out accuracy over all counts. Filled marks: the {study.label(study.probe)} probe, on r itself (circle) "
        "or on a control (square), with 95 % intervals over objects. Open marks: other probes. Dotted: chance.",
    )
    more = f"<details><summary>Other probes</summary>{_scores(study, others)}</details>" if others else ""
    return figures(picture) + _scores(study, main) + more


def _scores(study: Study, rows: list[Result]) -> str:
    columns: dict[str, list[Cell]] = {
        "input": [study.control_label(r.control, r.input) for r in rows],
        "probe": [study.label(r.probe) if r.probe != study.probe else "" for r in rows],
        "accuracy": [number(r.value) for r in rows],
        "95 % interval": [interval(r.low, r.high) for r in rows],
    }
    columns |= {title: [_measured(study, r, metric) for r in rows] for metric, title in OVERALL.items()}
    columns = {title: cells for title, cells in columns.items() if any(cells)}
    return table(list(columns), zip(*columns.values(), strict=True), text=("probe",))


def _confusion(study: Study, drawings: dict[str, str]) -> str:
    caption = "Each row is a true count: the share of its held-out rows that the probe read as each count."
    return figures(figure(drawings.get("confusion", ""), caption))


def _knowledge(study: Study, drawings: dict[str, str]) -> str:
    names = ", ".join(TARGETS.get(target, target) for target in study.object_targets)
    caption = (
        f"How well {study.given} tells {names} for unseen objects, by count: classes by the "
        f"{study.label(study.probe)} probe, values by ridge regression. Bands: 95 % interval. Thin lines: naming the "
        "commonest class, or the mean."
    )
    return figures(figure(drawings.get("decodability", ""), caption))


def _similarity(study: Study, drawings: dict[str, str]) -> str:
    return figures(
        figure(drawings.get("similarity", ""), "Similarity of the representations of the same objects at two counts."),
        figure(
            drawings.get("geometry", ""),
            "From one count to the next: how far the mean of r moves, and by what angle it turns; and over how many "
            "dimensions the objects spread.",
        ),
    )


def _training(study: Study, drawings: dict[str, str]) -> str:
    caption = "After each epoch, on the objects trained on and on objects held out."
    return figures(
        figure(drawings.get("model-accuracy", ""), f"Accuracy. {caption}"),
        figure(drawings.get("model-loss", ""), f"Cross-entropy in nats. {caption}"),
    )


def method(study: Study) -> str:
    """What was done, in sentences, as far as the summary tells."""
    summary, chosen = study.summary, study.summary.get("settings", {})
    said = [summary.get("convention", "")]
    if chosen.get("protocol") == "original":
        said.append(
            f"Of {summary['objects']} objects, views are drawn anew for every label. The classifier is trained on the "
            "first 80 % of the rows in scene order and validated on the rest; intervals are Wilson's, over rows."
        )
    elif "seeds" in chosen:
        said.append(
            f"{summary['objects']} objects were seen at counts {min(summary['counts'])} to {max(summary['counts'])}: "
            "each view is encoded once, and r is formed of the first views in an order drawn for the object. "
            f"With each of {chosen['seeds']} seeds a probe is trained on some objects, its regularisation chosen on "
            "others, and scored on objects that it never saw; the scores here are of these, all seeds together. "
            f"Intervals are percentiles of a bootstrap over objects ({chosen['resamples']} resamples, the same for "
            "all inputs, so that differences are paired); p values permute the labels within objects "
            f"({chosen['permutations']} times)."
        )
    return " ".join(filter(None, said))


def _methods(study: Study, drawings: dict[str, str]) -> str:
    words = method(study)
    parts = [f"<p>{escape(words)}</p>"] if words else []
    values = study.provenance.get("config") or study.summary.get("settings")
    if values:
        parts.append(f"<details><summary>Every setting</summary>{settings(values)}</details>")
    return "\n".join(parts)


def _reproduce(study: Study, drawings: dict[str, str]) -> str:
    command = study.provenance.get("command")
    parts = [f"<pre>{escape(command)}</pre>"] if command else []
    rest = {k: v for k, v in study.provenance.items() if k not in ("config", "command")}
    if rest:
        parts.append(settings(rest))
    data = base64.b64encode((study.folder / "results.csv").read_bytes()).decode()
    link = f'<a download="results.csv" href="data:text/csv;base64,{data}">'
    parts.append(f"<p>{link}Every number of this page: results.csv</a></p>")
    return "\n".join(parts)


def _measured(study: Study, row: Result, metric: str) -> Cell:
    found = study.overall(metric, control=row.control, probe=row.probe, input=row.input)
    return number(found.value if found else None, digits=3 if metric == "permutation_p" else 2)
