"""Section of the page on mental rotation: tables of every read-out and control, and of items difficult for people."""

from gqn_probe.report.figures.rotation import CONTROL_STYLES, NAME, PROBES, result_key
from gqn_probe.report.glossary import Term
from gqn_probe.report.html_elements import Cell, collapsible, interval, number, table, terms
from gqn_probe.report.section_registry import study_section
from gqn_probe.report.study_results import Study

TERMS = (
    Term("input", "whole: r; prediction: the image that the network predicts; otherwise a layer of the encoder"),
    Term("read-out", "how object and mirror image are compared: by error, likelihood, distance, or a trained probe"),
    Term("k", "number of context views"),
    Term("accuracy", "share of trials in which the object's own view matches better: 0.5 is guessing"),
    Term("d′", "sensitivity of signal detection theory: 0 is guessing, below 0 the mirror image is preferred"),
    Term("gain over pixels", "accuracy less that of the nearest context view at the same k"),
    Term("correlation with angle", "of error or distance with the angle, within objects"),
    Term("partial correlation", "the same with pixels and blank images partialled out"),
)


@study_section(
    "rotation",
    "Can it predict a turned object?",
    "The context shows an object from cameras within a cone; the views in question are turned out of that cone. A "
    "trial is right where the object's turned view matches the prediction (or code) better than the same view of the "
    "object's mirror image does.",
)
def rotation(study: Study) -> str:
    """Return the tables of read-outs and controls, and of items difficult for people."""
    return _read_outs(study) + _items(study) if study.analysis == NAME else ""


def _read_outs(study: Study) -> str:
    """Return the table of accuracy, d' and gain over pixels from 60 degrees on, and correlation with the angle."""
    heads = ["axis", "input", "read-out", "control", "k", "accuracy", "95 % interval", "d′", "gain over pixels",
             "95 % interval of gain", "correlation with angle", "partial correlation"]  # fmt: skip
    rows: list[list[Cell]] = []
    for key in dict.fromkeys(result_key(r) for r in study.results if r.metric == "far_accuracy"):
        found = {r.metric: r for r in study.results if result_key(r) == key and r.angle is None}
        values = {metric: number(r.value) for metric, r in found.items()}
        bounds = {metric: interval(r.low, r.high) for metric, r in found.items()}
        axis, input, control, probe, count = key
        row: list[Cell] = [axis, input.replace("layer.", ""), PROBES[probe], CONTROL_STYLES[control][0], str(count)]
        row += [values["far_accuracy"], bounds["far_accuracy"], values.get("far_d_prime", "")]
        row += [shown.get("far_accuracy_above_pixels", "") for shown in (values, bounds)]
        rows.append([*row, values.get("correlation", ""), values.get("partial_correlation", "")])
    body = table(heads, rows, text=("input", "read-out", "control")) + (terms(TERMS) if rows else "")
    return collapsible("Every read-out and control, from 60 degrees on", body)


def _items(study: Study) -> str:
    """Return the table of correlations with people's errors and times by item, and their ceilings."""
    found = {(r[:4], r.metric): r for r in study.results if r.target == "people" and r.metric.startswith("item_")}
    rows: list[list[Cell]] = []
    for (case, metric), r in found.items():
        if metric.endswith("_ceiling"):
            continue
        ceiling = found.get((case, f"{metric}_ceiling"))
        what = metric.removeprefix("item_").replace("_within", ", within angles")
        where = [r.input, PROBES.get(r.probe, r.probe), CONTROL_STYLES[r.control][0]]
        most = number(ceiling.value) if ceiling else ""
        rows.append([what, *where, number(r.value), interval(r.low, r.high), most, r.n or 0])
    if not rows:
        return ""
    heads = ["people's", "input", "read-out", "control", "correlation", "95 % interval", "ceiling", "items"]
    note = (
        "<p>An item is an object at an angle, beside itself or its mirror image. The network's difficulty is how much "
        "better the wrong answer matches than the right one. Ceiling: the highest correlation that people's agreement "
        "with each other allows.</p>"
    )
    return "<h3>Are the same items difficult?</h3>" + note + table(heads, rows, text=("input", "read-out", "control"))
