"""The page's section on mental rotation: tables of every read-out and control, and of what people find hard."""

from gqn_probe.report.figures.rotation import LOOKS, NAME, PROBES, key_of
from gqn_probe.report.glossary import Term
from gqn_probe.report.html_elements import Cell, folded, interval, number, table, terms
from gqn_probe.report.section_registry import study_section
from gqn_probe.report.study_results import Study
from gqn_probe.results import Result

TERMS = (
    Term("read from", "whole: r; prediction: the image that the network predicts; else a layer of the encoder"),
    Term("by", "what decides between object and mirror image: the smaller error or distance, or a trained probe"),
    Term("d′", "sensitivity of signal detection theory: 0 is guessing, below 0 the mirror image is preferred"),
    Term("above pixels", "accuracy less that of pixels at the same k"),
    Term("correlation with angle", "of what decides with the angle, within objects"),
    Term("less pixels and blank", "the same correlation with pixels and blank images partialled out"),
)


@study_section(
    "rotation",
    "How far can it turn an object?",
    "The network is shown an object from cameras within a cone, and asked about views turned out of it. Each trial "
    "asks whether such a view is less unlike what is known than the same view of the object's mirror image is.",
)
def rotation(study: Study) -> str:
    """From 60 degrees on: accuracy, d' and gain over pixels of every read-out; and what is left of the angle."""
    if study.analysis != NAME:
        return ""
    heads = ["turned", "read from", "by", "control", "k", "accuracy", "95 % interval", "d′", "above pixels",
             "95 % interval of it", "correlation with angle", "less pixels and blank"]  # fmt: skip
    rows: list[list[Cell]] = []
    for key in dict.fromkeys(key_of(r) for r in study.results if r.metric == "far_accuracy"):
        found = {r.metric: r for r in study.results if key_of(r) == key and r.angle is None}
        axis, input, control, probe, count = key
        accuracy, above = found["far_accuracy"], found.get("far_accuracy_above_pixels")
        left, rise, sensitivity = (found.get(m) for m in ("partial_correlation", "correlation", "far_d_prime"))
        rows.append([
            axis, input.replace("layer.", ""), PROBES[probe], LOOKS[control][0], str(count),
            number(accuracy.value), interval(accuracy.low, accuracy.high), number(_value(sensitivity)),
            number(_value(above)), interval(above.low, above.high) if above else "",
            number(_value(rise)), number(_value(left)),
        ])  # fmt: skip
    body = table(heads, rows, text=("read from", "by", "control")) + (terms(TERMS) if rows else "")
    return folded("Every read-out and control, from 60 degrees on", body) + _people(study)


def _people(study: Study) -> str:
    """Item by item: the correlation with people's errors and times, and what their reliability leaves."""
    rows: list[list[Cell]] = []
    for r in study.results:
        if r.target == "people" and r.metric.startswith("item_") and not r.metric.endswith("_ceiling"):
            ceiling = next(
                (c.value for c in study.results if c[:4] == r[:4] and c.metric == f"{r.metric}_ceiling"), None
            )
            what = r.metric.removeprefix("item_").replace("_within", ", within angles")
            where = [r.input, PROBES.get(r.probe, r.probe), LOOKS[r.control][0]]
            rows.append([what, *where, number(r.value), interval(r.low, r.high), number(ceiling), r.n or 0])
    if not rows:
        return ""
    heads = ["people's", "read from", "by", "control", "correlation", "95 % interval", "ceiling", "items"]
    return "<h3>Items that people find hard</h3>" + table(heads, rows, text=("read from", "by", "control"))


def _value(row: Result | None) -> float | None:
    return row.value if row is not None else None
