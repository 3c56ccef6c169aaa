"""Registry of page sections: a decorated function is a section of every page whose study has data for it.

    @study_section("rotation", "Can it predict a turned object?", "One or two sentences of introduction.")
    def rotation(study: Study) -> str: ...

The function returns the HTML below the section's figures, those of ``@study_figure("rotation", ...)``. A section with
neither is left out.
"""

from collections.abc import Callable
from typing import NamedTuple

from gqn_probe.report.study_results import Study

Body = Callable[[Study], str]


class StudySection(NamedTuple):
    """Title, introduction and function of a registered section."""

    title: str
    lead: str  # what opens it
    body: Body  # what stands under its figures
    closing: bool  # whether it comes after those of every kind of study


SECTIONS: dict[str, StudySection] = {}  # by anchor


def study_section(id: str, title: str, lead: str = "", *, closing: bool = False) -> Callable[[Body], Body]:
    """Register the decorated function as the section with the anchor ``id``.

    Raises:
        ValueError: another module has a section of that anchor.
    """

    def register(body: Body) -> Body:
        if id in SECTIONS and SECTIONS[id].body.__module__ != body.__module__:
            raise ValueError(f"two sections are called {id}: in {SECTIONS[id].body.__module__}, {body.__module__}")
        SECTIONS[id] = StudySection(title, lead, body, closing)
        return body

    return register


def ordered_sections() -> dict[str, StudySection]:
    """Return all sections in the order of the page: as registered, closing ones last."""
    return dict(sorted(SECTIONS.items(), key=lambda item: item[1].closing))
