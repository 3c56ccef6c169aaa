"""Self-contained HTML page of a study: works offline, on phone, screen and paper, light and dark.

``python -m gqn_probe.report.page FOLDER`` makes it and the figures again from the result files.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from gqn_probe.atomic_io import write_text
from gqn_probe.report.figure_registry import Drawing, draw_figures
from gqn_probe.report.html_elements import document, escape, figure
from gqn_probe.report.sections import introduction, sections
from gqn_probe.report.study_results import Study, read_study
from gqn_probe.report.terminal import say

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
        head=f"<p>{escape(' '.join(introduction(study)))}</p>{_answers(study)}",
        hero=figure(first.svg, first.caption, wide=first.wide) if first else "",
        notes=_failures(study),
        sections=sections(study, drawings),
    )


def _answers(study: Study) -> str:
    """Return the study's answers in plain sentences, each with the control it rests on."""
    items = ""
    for answer in study.answers:
        heading = f"<h2>{escape(answer.question)}</h2>" if answer.question else ""
        evidence = f"Evidence: {answer.licence}" if answer.licence else ""
        small = " ".join(filter(None, (answer.details, evidence)))
        licence = f"<small>{escape(small)}</small>" if small else ""
        text = re.sub(r"\([^()]*\d[^()]*\)", r"<span>\g<0></span>", escape(answer.text))  # intervals stand back
        items += f'<div>{heading}<p class="answer">{text} {licence}</p></div>'
    return f'<div class="answers">{items}</div>' if items else ""


def _failures(study: Study) -> str:
    failed = [f"Job {item} failed; the study covers the others." for item in study.summary.get("failed", [])]
    items = "".join(f"<li>{escape(text)}</li>" for text in failed)
    return f'<ul class="failed">{items}</ul>' if failed else ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Make figures and page of a study's folder again; exit with a one-line error where that fails."""
    parser = argparse.ArgumentParser(
        prog="python -m gqn_probe.report.page", description="Make a study's figures and report again from its results."
    )
    parser.add_argument("folder", help="output folder of probe.py, such as outputs/probe/DATE/TIME")
    try:
        study = read_study(parser.parse_args(arguments).folder)
        say(str(build_report(study, draw_figures(study))))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
