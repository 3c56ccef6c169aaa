"""The registry of figures: a decorated function in ``report/figures`` is a figure of every study that has its data.

A figure is one function of the study, which returns None where the study lacks its data:

    @study_figure("controls", "What the marks mean, in a sentence or two.")
    def my_figure(study: Study) -> Figure | None: ...

It becomes ``figures/my-figure.png`` and ``.svg``, stands in the page's section ``controls``, and is logged to W&B. A
section is registered likewise, see ``section_registry``, in the file of its figures or in ``sections``.
"""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from gqn_probe.atomic_io import write_text
from gqn_probe.progress import progress
from gqn_probe.report import figures, html_elements, style
from gqn_probe.report.study_results import Study

Draw = Callable[[Study], Figure | None]
Caption = str | Callable[[Study], str]

# Sections of the study of counts; figures of other sections are of other analyses.
OF_COUNTS = ("predictions", "knowledge", "counts", "controls", "similarity", "training")


class StudyFigure(NamedTuple):
    """Section, caption and drawing function of a registered figure."""

    section: str  # the anchor of the page's section that it stands in
    caption: Caption
    draw: Draw
    first: bool  # whether it stands beside the answers, at the top of the page
    folded: bool  # whether it opens on a click, where its section has others


class Drawing(NamedTuple):
    """Drawn figure."""

    name: str
    section: str
    caption: str
    html: str  # drawing and caption, in the page's colours
    png: Path
    first: bool = False
    folded: bool = False


FIGURES: dict[str, StudyFigure] = {}  # by the name of the file


def study_figure(
    section: str, caption: Caption, *, first: bool = False, folded: bool = False
) -> Callable[[Draw], Draw]:
    """Register the decorated function as a figure that is named after it.

    Args:
        first: it stands beside the answers.
        folded: a detail, which opens on a click below the section's other figures.

    Raises:
        ValueError: another module has a figure of that name.
    """

    def register(draw: Draw) -> Draw:
        name = draw.__name__.replace("_", "-")
        if name in FIGURES and FIGURES[name].draw.__module__ != draw.__module__:
            raise ValueError(f"two figures are called {name}: in {FIGURES[name].draw.__module__}, {draw.__module__}")
        FIGURES[name] = StudyFigure(section, caption, draw, first, folded)
        return draw

    return register


def find_figures() -> dict[str, StudyFigure]:
    """Return all figures by name: those of every module in ``report/figures``, and others that were registered."""
    for module in pkgutil.iter_modules(figures.__path__, f"{figures.__name__}."):
        importlib.import_module(module.name)
    return FIGURES


def draw_figures(study: Study) -> list[Drawing]:
    """Draw each figure that the study has data for, once; write it to ``figures/NAME.png`` and ``.svg``."""
    drawings = []
    folder = study.folder / "figures"
    found = find_figures()
    with style.style_context(), progress("drawing figures", len(found), "figures") as advance:
        for name, each in found.items():
            advance(1)
            figure = each.draw(study)
            if figure is None:
                continue
            caption = each.caption if isinstance(each.caption, str) else each.caption(study)
            png, svg = style.write_png(figure, folder / f"{name}.png"), style.svg_text(figure, name)
            write_text(folder / f"{name}.svg", svg)
            html = html_elements.figure(style.inline_svg(svg, name, caption), caption)
            drawings.append(Drawing(name, each.section, caption, html, png, each.first, each.folded))
    return drawings
