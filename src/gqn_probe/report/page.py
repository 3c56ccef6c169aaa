"""One self-contained HTML page of a study: no network, for phone, screen and print, light and dark.

``python -m gqn_probe.report.page FOLDER`` makes it and the figures again from the result files.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gqn_probe.atomic_io import write_text
from gqn_probe.report.figure_registry import Drawing, draw_figures
from gqn_probe.report.html_elements import document, escape, figure
from gqn_probe.report.sections import introduction, sections
from gqn_probe.report.study_results import Study, read_study
from gqn_probe.report.terminal import say

QUESTION = "Does the scene representation tell how many images it was formed from?"


def build_report(study: Study, drawings: Sequence[Drawing]) -> Path:
    """Write ``report.html`` beside the study's results, whole or not at all; its path."""
    path = study.folder / "report.html"
    write_text(path, render(study, drawings))
    return path


def render(study: Study, drawings: Sequence[Drawing]) -> str:
    """The page as text."""
    first = next((d for d in drawings if d.first), None)
    return document(
        study.analysis.replace("_", " ") or "context-count study",
        study.summary.get("question", QUESTION),
        head=f"<p>{escape(' '.join(introduction(study)))}</p>{_answers(study)}",
        hero=figure(first.svg, first.caption, wide=first.wide) if first else "",
        notes=_notes(study),
        sections=sections(study, drawings),
    )


def _answers(study: Study) -> str:
    """The study's plain sentences, each with what licenses it."""
    items = ""
    for answer in study.answers:
        heading = f"<h2>{escape(answer.question)}</h2>" if answer.question else ""
        licence = f"<small>By: {escape(answer.licence)}</small>" if answer.licence else ""
        items += f'<div>{heading}<p class="answer">{escape(answer.text)} {licence}</p></div>'
    return f'<div class="answers">{items}</div>' if items else ""


def _notes(study: Study) -> str:
    """What a reader must know beside the answer: counts that failed first."""
    failed = [f"Job {item} failed; the study is of the others." for item in study.summary.get("failed", [])]
    items = [f'<li class="failed">{escape(text)}</li>' for text in failed]
    items += [f"<li>{escape(note)}</li>" for note in study.summary.get("notes", [])]
    return f'<ul class="notes">{"".join(items)}</ul>' if items else ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Make figures and page of the folder named; exit with one line where that cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m gqn_probe.report.page", description="Make a study's figures and report again from its results."
    )
    parser.add_argument("folder", help="what probe.py wrote, such as outputs/probe/DATE/TIME")
    try:
        study = read_study(parser.parse_args(arguments).folder)
        say(str(build_report(study, draw_figures(study))))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
