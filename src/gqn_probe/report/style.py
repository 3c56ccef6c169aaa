"""Style of every figure: colour-blind safe palette, quiet axes, PNG at 2x, SVG in the page's theme.

Colours are those of Okabe & Ito, "Color universal design" (2008), told apart by marker and line style too.
"""

import html
import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.atomic_io import atomic_write
from gqn_probe.report import html_elements
from gqn_probe.results import Interval, Result

INK, MUTED, RULE, PAPER = "#1c1f23", "#5f666e", "#dcdcd6", "#ffffff"
BLUE, VERMILION, GREEN, PURPLE, ORANGE = "#0072b2", "#d55e00", "#009e73", "#b0568f", "#b77c00"
SERIES = (
    (BLUE, "o", "-"),
    (VERMILION, "s", "--"),
    (GREEN, "^", "-."),
    (PURPLE, "D", ":"),
    (ORANGE, "v", "-"),
    (INK, "x", "--"),
    (MUTED, "P", ":"),
)
BAND = 0.16  # opacity of an interval
NARROW, WIDE = 5.2, 10.3  # inches: half the width of a page, or a phone's; and the whole
GUESS: dict[str, Any] = {"color": MUTED, "linewidth": 1, "linestyle": (0, (1, 2))}  # the line of what guessing gives

# What the page's style sheet calls each colour, so that inline SVG turns dark with the page.
_THEMED = {
    INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper",
    BLUE: "blue", VERMILION: "vermilion", GREEN: "green", PURPLE: "purple", ORANGE: "orange",
}  # fmt: skip

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.labelsize": 9.5,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.08,  # inches: the page's typeface may be wider
    "svg.fonttype": "none",  # text stays text: selectable, and set in the page's own typeface
}


def style_context() -> AbstractContextManager[None]:
    """Return a context with these matplotlib settings; the user's are restored afterwards."""
    return matplotlib.rc_context(_RC)


def new_figure(height: float, *, wide: bool = False) -> Figure:
    """Return an empty figure, ``height`` in inches; a wide one takes the whole width of a page."""
    return Figure(figsize=(WIDE if wide else NARROW, height))


def panel_grid(
    number: int, *, most: int, height: float, rest: float, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure with ``number`` panels, ``most`` a row.

    Args:
        height: of a row, in inches.
        rest: what the figure is higher than its rows, in inches.
    """
    columns = min(most, number)
    lines = -(-number // columns)
    figure = new_figure(rest + lines * height, wide=columns > 1)
    grid = list(figure.subplots(lines, columns, squeeze=False, sharey=sharey).flat)
    for axes in grid[number:]:
        axes.remove()
    return figure, grid[:number]


def count_axis(axes: Axes, counts: list[int], label: str, *, most: int = 14) -> None:
    """Label an x-axis of whole counts, thinned where there are more than ``most``."""
    axes.set_xlabel(label)
    axes.set_xticks(counts[:: max(1, round(len(counts) / most))])
    axes.grid(axis="x", visible=False)


def chance_line(axes: Axes, chance: float | None, vertical: bool = False) -> None:
    """Draw the chance level, labelled on the line itself."""
    if chance is None:
        return
    line = axes.axvline if vertical else axes.axhline
    line(chance, **GUESS)
    place = (chance, 1.0) if vertical else (1.0, chance)
    coordinates = axes.get_xaxis_transform() if vertical else axes.get_yaxis_transform()
    axes.annotate("chance", place, xycoords=coordinates, xytext=(0, 2), textcoords="offset points",
                  color=MUTED, fontsize=8.5, ha="center" if vertical else "right", va="bottom")  # fmt: skip


def legend_above(axes: Axes) -> None:
    """Put the legend above the plot, where it hides no data."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, borderaxespad=0.2)


def legend_below(figure: Figure, columns: int) -> None:
    """Put one legend of all axes below the figure, each label once."""
    every = (axes.get_legend_handles_labels() for axes in figure.axes)
    handles = {label: handle for found in every for handle, label in zip(*found, strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=min(columns, len(handles)))


def series_style(index: int) -> dict[str, Any]:
    """Return colour, marker and dash of a line, as arguments of ``Axes.plot``."""
    color, marker, dash = SERIES[index % len(SERIES)]
    return {"color": color, "marker": marker, "linestyle": dash}


def plot_rows(axes: Axes, x: Sequence[float], rows: Sequence[Result | Interval], **options: Any) -> None:
    """Plot values with their intervals as a band; ``options`` are those of ``Axes.plot``. Nothing for no rows."""
    if not rows:
        return
    (line,) = axes.plot(x, [row.value for row in rows], **options)
    low, high = (np.array([getattr(row, bound) for row in rows], dtype=float) for bound in ("low", "high"))
    axes.fill_between(x, low, high, color=line.get_color(), alpha=BAND, linewidth=0)


def plot_series(axes: Axes, rows: Sequence[Result], label: str, index: int) -> None:
    """Plot rows by count, or by number of training objects where they have one."""
    counts = [float(row.train_objects or row.count or 0) for row in rows]
    plot_rows(axes, counts, rows, label=label, **series_style(index))


def count_matrix(cells: Sequence[tuple[int, int, float]]) -> tuple[list[int], Float[np.ndarray, "row column"]]:
    """Return the counts and the matrix of values over pairs of them; NaN where none was given."""
    counts = sorted({count for row, column, _ in cells for count in (row, column)})
    table = np.full((len(counts), len(counts)), np.nan)
    for row, column, value in cells:
        table[counts.index(row), counts.index(column)] = value
    return counts, table


def heat_map(counts: list[int], table: Float[np.ndarray, "row column"], label: str, *, low: float | None) -> Figure:
    """Draw a matrix over counts in colours and numbers."""
    figure = new_figure(4.4)
    axes = figure.add_subplot()
    edges = np.arange(len(counts) + 1) - 0.5
    image = axes.pcolormesh(edges, edges, table, cmap="cividis", vmin=low, edgecolors="face", linewidth=0.2)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xticks(range(len(counts)), [str(c) for c in counts])
    axes.set_yticks(range(len(counts)), [str(c) for c in counts])
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value) and (value >= 0.005 or low is None):
            red, green, blue, _ = image.to_rgba(value)
            write_cell(axes, row, column, value, dark=bool(0.3 * red + 0.6 * green + 0.1 * blue < 0.5))
    figure.colorbar(image, ax=axes, label=label, shrink=0.85).outline.set_visible(False)
    return figure


def write_cell(axes: Axes, row: int, column: int, value: float, *, dark: bool) -> None:
    """Write a value as ``.67`` into a cell of a matrix, in a colour that the page's theme leaves as it is."""
    text = f"{round(value, 2) + 0.0:.2f}".replace("0.", ".", 1)  # no -0.00
    axes.text(column, row, text, ha="center", va="center", fontsize=7, color="#fefefe" if dark else "#111111")


def to_html(drawn: Figure, name: str, caption: str) -> str:
    """Return the figure with its caption as an element of a page; ``name`` sets its ids apart."""
    return html_elements.figure(inline_svg(svg_text(drawn, name), name, caption), caption)


def write_png(figure: Figure, path: Path) -> Path:
    """Save at twice a screen's resolution, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as draft:
        figure.savefig(draft, format="png", dpi=192)
    return path


def svg_text(figure: Figure, name: str) -> str:
    """Return the figure as an SVG file, identical at each drawing; ``name`` seeds its ids."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def inline_svg(svg: str, name: str, description: str) -> str:
    """Return the file's text as an ``<svg>`` element with the page's colours and ids of its own."""
    svg = re.sub(r"<(metadata|style).*?</\1>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(<image [^>]*?) id="[^"]*"', r"\1", svg)  # a picture shown twice would give its id twice
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = svg.replace("font-family: 'DejaVu Sans'; ", "")
    for colour, variable in _THEMED.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(description)}" ', 1)
