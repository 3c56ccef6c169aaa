"""Section of the page on mental rotation: tables of every read-out and control, and of items difficult for people."""

from gqn_probe.report.figures.rotation import CONTROL_STYLES, NAME, PROBES, result_key
from gqn_probe.report.figures.rotation_people import people_table
from gqn_probe.report.glossary import Term
from gqn_probe.report.html_elements import Cell, collapsible, interval, number, table, terms
from gqn_probe.report.section_registry import study_section
from gqn_probe.report.study_results import Study
from gqn_probe.results import Result

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
    """Return the table of accuracy, d' and gain over pixels from 60 degrees on, and correlation with the angle."""
    if study.analysis != NAME:
        return ""
    heads = ["axis", "input", "read-out", "control", "k", "accuracy", "95 % interval", "d′", "gain over pixels",
             "95 % interval of gain", "correlation with angle", "partial correlation"]  # fmt: skip
    rows: list[list[Cell]] = []
    for key in dict.fromkeys(result_key(r) for r in study.results if r.metric == "far_accuracy"):
        found = {r.metric: r for r in study.results if result_key(r) == key and r.angle is None}
        axis, input, control, probe, count = key
        accuracy, above = found["far_accuracy"], found.get("far_accuracy_above_pixels")
        left, rise, sensitivity = (found.get(m) for m in ("partial_correlation", "correlation", "far_d_prime"))
        rows.append([
            axis, input.replace("layer.", ""), PROBES[probe], CONTROL_STYLES[control][0], str(count),
            number(accuracy.value), interval(accuracy.low, accuracy.high), number(_value(sensitivity)),
            number(_value(above)), interval(above.low, above.high) if above else "",
            number(_value(rise)), number(_value(left)),
        ])  # fmt: skip
    body = table(heads, rows, text=("input", "read-out", "control")) + (terms(TERMS) if rows else "")
    return collapsible("Every read-out and control, from 60 degrees on", body) + people_table(study)


def _value(row: Result | None) -> float | None:
    return row.value if row is not None else None
