"""One self-contained HTML page of a study: no network, for phone, screen and print, light and dark.

``python -m gqn_probe.report.page FOLDER`` makes it and the figures again from the result files.
"""

import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from gqn_probe.atomic_io import write_text
from gqn_probe.report import style
from gqn_probe.report.figure_registry import FIGURES, draw_figures
from gqn_probe.report.html_elements import escape, figure
from gqn_probe.report.sections import sections
from gqn_probe.study_results import Study, read_study

QUESTION = "Does the scene representation tell how many images it was formed from?"


def build_report(folder: str | Path) -> Path:
    """Write ``study/report.html`` of the study in ``folder``, under a temporary name first; its path.

    Raises ValueError where the folder holds no study.
    """
    study = read_study(folder)
    path = study.folder / "report.html"
    write_text(path, render(study))
    return path


def render(study: Study) -> str:
    """The page as text."""
    drawings = _drawings(study)
    parts = sections(study, drawings)
    here = files("gqn_probe.report")
    question = study.summary.get("question", QUESTION)
    return Template(here.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=escape(question),
        style=here.joinpath("page.css").read_text(encoding="utf-8"),
        script=here.joinpath("page.js").read_text(encoding="utf-8"),
        question=escape(question),
        answer=escape(study.summary.get("answer", "")),
        stats=_stats(study),
        notes=_notes(study),
        hero=figure(
            drawings.get("accuracy-by-count", ""),
            "Held-out accuracy at each true count. Bands: 95 % interval.",
        ),
        contents="".join(f'<a href="#{part.id}">{part.title}</a>' for part in parts),
        sections="\n".join(f'<section id="{part.id}"><h2>{part.title}</h2>\n{part.body}\n</section>' for part in parts),
    )


def _drawings(study: Study) -> dict[str, str]:
    """Every figure that the study has data for, as inline SVG."""
    with style.applied():
        drawn = {name: draw(study) for name, draw in FIGURES.items()}
        return {
            name: style.inline_svg(figure, name, name.replace("-", " ")) for name, figure in drawn.items() if figure
        }


def _stats(study: Study) -> str:
    """The headline's numbers with their intervals."""
    headline = study.summary["headline"]
    names = {
        "accuracy": (f"{study.label(study.probe)} probe on {study.given}", "{:.1%}"),
        "norm_only": (study.control_label("norm", study.input), "{:.1%}"),
        "difference": ("difference in points, paired", "{:+.1%}"),
        "chance": ("chance", "{:.1%}"),
    }
    cells = ""
    for key, (name, form) in names.items():
        if headline.get(key) is not None:
            value, *bounds = (
                form.format(headline[k]).removesuffix("%" if key == "difference" else "")
                for k in (key, f"{key}_low", f"{key}_high")
                if headline.get(k) is not None
            )
            small = f"<small>{' to '.join(bounds)}</small>" if bounds else ""
            cells += f"<div><dt>{escape(name)}</dt><dd>{value}{small}</dd></div>"
    return f'<dl class="stats">{cells}</dl>' if cells else ""


def _notes(study: Study) -> str:
    """What a reader must know beside the answer: counts that failed first."""
    failed = [f"Job {item} failed; the study is of the others." for item in study.summary.get("failed", [])]
    items = [f'<li class="failed">{escape(text)}</li>' for text in failed]
    items += [f"<li>{escape(note)}</li>" for note in study.summary.get("notes", [])]
    return f'<ul class="notes">{"".join(items)}</ul>' if items else ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Figures and page of the folder named; exit with one line where that cannot be done."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        sys.exit("usage: python -m gqn_probe.report.page FOLDER")
    try:
        draw_figures(arguments[0])
        print(build_report(arguments[0]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
