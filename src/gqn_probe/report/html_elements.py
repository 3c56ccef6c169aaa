"""HTML elements of the report pages; every text is escaped here."""

import base64
import html
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any, NamedTuple

from gqn_probe.report.glossary import Term

LONGEST = 240  # letters of a setting that are shown
VIEW_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
HALF_PAGE = 400  # points: the widest drawing that stands beside another


class Number(NamedTuple):
    """Table cell that shows ``text`` and sorts by ``value``."""

    value: float
    text: str


Cell = str | int | Number


class Section(NamedTuple):
    """Part of a page: anchor, heading, HTML."""

    id: str
    title: str
    body: str


def document(
    kind: str,
    title: str,
    *,
    head: str = "",
    beside: str = "",
    hero: str = "",
    sections: Sequence[Section],
) -> str:
    """Return a whole self-contained page: head, a figure beside ``beside``, contents and sections."""
    here = files("gqn_probe.report")
    return Template(here.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        kind=escape(kind),
        title=escape(title),
        style=here.joinpath("page.css").read_text(encoding="utf-8"),
        script="\n".join(here.joinpath(name).read_text(encoding="utf-8") for name in ("page.js", "viewer.js")),
        head=head,
        lead=f'<div class="lead"><div>{beside}</div>{hero}</div>' if beside and hero else beside + figures(hero),
        contents="".join(f'<a href="#{part.id}">{escape(part.title)}</a>' for part in sections),
        sections="\n".join(
            f'<section id="{part.id}"><h2>{escape(part.title)}</h2>\n{part.body}\n</section>' for part in sections
        ),
    )


def escape(text: object) -> str:
    """Escape a text for HTML."""
    return html.escape(str(text))


def number(value: float | None, digits: int = 2) -> Cell:
    """Return a cell for a number, empty for None."""
    return "" if value is None else Number(value, f"{round(value, digits) + 0.0:.{digits}f}")  # no -0.00


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """Return ``0.67 to 0.75``, or an empty text where a bound is unknown."""
    if low is None or high is None:
        return ""
    return " to ".join(f"{round(bound, digits) + 0.0:.{digits}f}" for bound in (low, high))  # no -0.00


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], text: Collection[str] = ()) -> str:
    """Return a sortable table without its empty columns; the first and those headed as in ``text`` are flush left."""
    columns = [column for column in zip(heads, *rows, strict=True) if any(cell != "" for cell in column[1:])]
    heads, *rows = zip(*columns, strict=True)
    mark = [' class="text"' if head in text else "" for head in heads]
    top = "".join(f'<th scope="col"{m}>{escape(h)}</th>' for m, h in zip(mark, heads, strict=True))
    body = "\n".join(
        "<tr>" + "".join(_cell(cell, m) for cell, m in zip(row, mark, strict=True)) + "</tr>" for row in rows
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="table"><table class="sortable">'
        f"<thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )


def terms(found: Sequence[Term]) -> str:
    """Return a list of definitions; empty for none."""
    rows = "\n".join(f"<div><dt>{escape(t.label)}</dt><dd>{escape(t.meaning)}</dd></div>" for t in found)
    return f'<dl class="terms">\n{rows}\n</dl>' if found else ""


def settings(values: Mapping[str, Any]) -> str:
    """Return nested settings as a list of dotted names and values, long values shortened."""
    breaks = str.maketrans({".": ".<wbr>", "_": "_<wbr>"})  # where a long name may be broken
    rows = "\n".join(
        f"<div><dt>{escape(name).translate(breaks)}</dt><dd>{escape(_shortened(value))}</dd></div>"
        for name, value in _flatten(values).items()
    )
    return f'<dl class="settings">\n{rows}\n</dl>'


def figure(svg: str, caption: str) -> str:
    """Return a drawing with its caption; a wide one scrolls sideways on narrow screens."""
    width, height = map(float, VIEW_BOX.findall(svg)[0])
    mark = ""
    if width > HALF_PAGE:
        mark = ' class="wide"'
        svg = f'<div class="scroll" tabindex="0" role="region" aria-label="figure">{svg}</div>'
    elif height > 1.05 * width:
        mark = ' class="tall"'
    return f"<figure{mark}>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def data_url(data: bytes, kind: str) -> str:
    """Return the address that holds the data of a MIME type itself."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def figures(*found: str) -> str:
    """Return figures, or a figure and a table, side by side where there is room; empty for none."""
    inside = "\n".join(f for f in found if f)
    return f'<div class="figures">{inside}</div>' if inside else ""


def collapsible(summary: str, body: str) -> str:
    """Return a part that opens on a click, and is printed if it is open; empty for an empty body."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>" if body else ""


def _cell(cell: Cell, mark: str) -> str:
    if isinstance(cell, Number):
        return f'<td{mark} data-value="{cell.value}">{escape(cell.text)}</td>'
    return f"<td{mark}>{escape(cell)}</td>"


def _shortened(value: Any) -> str:
    text = "–" if value in ("", None) else str(value)
    if len(text) <= LONGEST:
        return text
    whole = f"{len(value)} values" if isinstance(value, list) else f"{len(text)} letters"
    return f"{text[: LONGEST // 2]} … ({whole})"


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inside = isinstance(value, Mapping) and value
        flat |= _flatten(value, f"{prefix}{key}.") if inside else {f"{prefix}{key}": value}
    return flat
