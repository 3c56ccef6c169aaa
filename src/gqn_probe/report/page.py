"""Self-contained HTML page of a study: works offline, on phone, screen and paper, light and dark."""

import re
from collections.abc import Sequence
from pathlib import Path

from gqn_probe.atomic_io import write_text
from gqn_probe.report.figure_registry import Drawing
from gqn_probe.report.html_elements import collapsible, document, escape
from gqn_probe.report.sections import introduction, sections
from gqn_probe.report.study_results import Study

QUESTION = "Can the number of images be decoded from the scene representation?"


def build_report(study: Study, drawings: Sequence[Drawing]) -> Path:
    """Write ``report.html`` beside the study's results, atomically, and return its path."""
    path = study.folder / "report.html"
    write_text(path, render(study, drawings))
    return path


def render(study: Study, drawings: Sequence[Drawing]) -> str:
    """Return the page as text."""
    first = next((d for d in drawings if d.first), None)
    return document(
        study.analysis.replace("_", " ") or "context-count study",
        study.summary.get("question", QUESTION),
        head=f"<p>{escape(' '.join(introduction(study)))}</p>{_answers(study)}{_failures(study)}",
        hero=first.html if first else "",
        sections=sections(study, drawings),
    )


def _answers(study: Study) -> str:
    """Return the study's answers in plain sentences, each with the control it rests on; further numbers are folded."""
    items = ""
    for answer in study.answers:
        text = re.sub(r"\([^()]*\d[^()]*\)", r"<span>\g<0></span>", escape(answer.text))  # intervals stand back
        evidence = f"<small>{escape(f'Evidence: {answer.licence}.')}</small>" if answer.licence else ""
        more = collapsible("More", f"<small>{escape(answer.details)}</small>" if answer.details else "")
        items += f'<div><h2>{escape(answer.question)}</h2><p class="answer">{text} {evidence}</p>{more}</div>'
    return f'<div class="answers">{items}</div>' if items else ""


def _failures(study: Study) -> str:
    failed = [f"Job {item} failed; the study covers the others." for item in study.summary.get("failed", [])]
    items = "".join(f"<li>{escape(text)}</li>" for text in failed)
    return f'<ul class="failed">{items}</ul>' if failed else ""
