"""Figures of representational similarity analysis: RDMs, their correlations with models, and subjects."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.report.glossary import TARGETS, target_label
from gqn_probe.report.html_elements import Cell, collapsible, interval, number, table
from gqn_probe.report.section_registry import study_section
from gqn_probe.report.study_results import Study
from gqn_probe.results import Result

R = "whole"
ALIKE, PARTIAL = "rdm_correlation", "rdm_partial_correlation"
NUISANCES = ("camera", "pixels", "blank")
SUBJECTS = "subjects"
SHOWN = 12  # bars of candidates
UNTRAINED: dict[str, Any] = {"dashes": (2, 2), "linewidth": 1}


@study_section(
    "rsa",
    "RDMs of r and of models",
    "A representational dissimilarity matrix (RDM) holds the distance between every two scenes. Two representations "
    "are alike where their RDMs correlate. A model RDM is of one known property, such as shape; nuisances are RDMs of "
    "what is not the object's: camera positions, summed pixels, and r of blank images.",
)
def rsa_section(study: Study) -> str:
    """Return a table of r's correlations with every model RDM at the smallest and largest count."""
    rows = [r for r in _rows(study) if (r.input, r.control) == (R, "none")]
    if not rows:
        return ""
    counts = study.summary["counts"]
    columns = [f"k = {k}" for k in (counts[0], counts[-1])]
    heads, cells = ["model RDM", "correlation", *columns, f"95 % interval, {columns[-1]}"], []
    for name in dict.fromkeys(r.target for r in rows):
        for metric, words in ((ALIKE, "plain"), (PARTIAL, "without nuisances")):
            own = {r.count: r for r in rows if (r.target, r.metric) == (name, metric)}
            first, last = own.get(counts[0]), own.get(counts[-1])
            if last is not None:
                values: list[Cell] = [number(first.value if first else None), number(last.value)]
                cells.append([_label(study, name), words, *values, interval(last.low, last.high)])
    return collapsible("Correlation of r with every model RDM", table(heads, cells, text=("correlation",)))


@study_figure(
    "rsa",
    first=True,
    caption="Correlation of r's RDM with model RDMs, by number of context images. Left: nuisances (camera positions "
    "and angles, summed pixels, and r of blank images from the same cameras). Right: properties of the object, with "
    "nuisances partialled out; what rises above the dashed line of untrained networks was learned. Bands: 95 % "
    "interval over scenes.",
)
def rsa_models(study: Study) -> Figure | None:
    """Draw correlations of r's RDM with nuisances, and partial ones with properties of the object, by count."""
    rows = [r for r in _rows(study) if r.input == R]
    if not rows:
        return None
    models = list(dict.fromkeys(r.target for r in rows))
    figure = style.new_figure(3.9, wide=True)
    left, right = figure.subplots(1, 2, sharey=True)
    seen = [*NUISANCES, "angle"]
    for axes, metric, names in (
        (left, ALIKE, [name for name in models if name in seen]),
        (right, PARTIAL, [name for name in models if name not in seen]),
    ):
        for i, name in enumerate(names):
            own, other = (
                [r for r in rows if (r.target, r.metric, r.control) == (name, metric, control)]
                for control in ("none", "untrained")
            )
            style.plot_series(axes, own, _label(study, name), i)
            if metric == PARTIAL and other:
                color = style.series_style(i)["color"]
                axes.plot([r.count or 0 for r in other], [r.value for r in other], color=color, **UNTRAINED)
        if metric == PARTIAL and any(r.control == "untrained" for r in rows):
            axes.plot([], [], color=style.MUTED, label="untrained networks", **UNTRAINED)
        axes.axhline(0, **style.GUESS)
        style.count_axis(axes, sorted({r.count for r in rows if r.count is not None}), study.count_axis)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    left.set(title="nuisances", ylabel="correlation of RDMs")
    right.set(title="properties of the object", ylabel="partial correlation of RDMs")
    return figure


@study_figure(
    "rsa",
    "RDMs: the distance between every two scenes, as ranks; light is far apart. Scenes are in the order of the first "
    "principal coordinate of r at the largest count, so that similar geometries show similar patterns. All but the "
    "first are at the largest count.",
)
def rsa_matrices(study: Study) -> Figure | None:
    """Draw the RDMs of r beside those of models."""
    rdms = _rdms(study)
    if not rdms:
        return None
    counts = study.summary["counts"]
    chosen = {f"r, k = {k}": f"{R} k={k}" for k in dict.fromkeys((counts[0], counts[-1]))}
    models = dict.fromkeys(r.target for r in _rows(study) if r.target not in (*NUISANCES, "shape"))
    chosen |= {_label(study, name): f"{name} k={counts[-1]}" for name in [*models][: 6 - len(NUISANCES)]}
    chosen |= {_label(study, name): f"{name} k={counts[-1]}" for name in NUISANCES}
    chosen = {title: name for title, name in chosen.items() if name in rdms}
    order = _first_coordinate(rdms[f"{R} k={counts[-1]}"]).argsort()
    figure, grid = style.panel_grid(len(chosen), most=4, height=2.65, rest=0.3)
    for axes, (title, name) in zip(grid, chosen.items(), strict=True):
        matrix = rdms[name][np.ix_(order, order)]
        ranks = np.searchsorted(np.sort(matrix[np.triu_indices(len(matrix), 1)]), matrix)
        axes.imshow(ranks, cmap="cividis", interpolation="nearest")
        axes.set(title=title, xticks=[], yticks=[])
    return figure


@study_figure(
    "rsa",
    "Partial correlation (without nuisances) of each layer's RDM with each model RDM at the largest count: where in "
    "the encoder each property emerges. Layers are averaged over positions or points. Last row: the mean of untrained "
    "networks, which is what the architecture gives by itself.",
)
def rsa_read_outs(study: Study) -> Figure | None:
    """Draw partial correlations of read-outs with model RDMs as a table."""
    rows = [r for r in _rows(study) if r.metric == PARTIAL and r.target not in NUISANCES]
    last = max((r.count or 0 for r in rows), default=0)
    rows = [r for r in rows if r.count == last]
    inputs = list(dict.fromkeys(r.input for r in rows if r.control == "none" and r.input != R))
    if not inputs:
        return None
    lines = [*((name, "none") for name in (*inputs, R)), (R, "untrained")]
    models = list(dict.fromkeys(r.target for r in rows))
    table = np.full((len(lines), len(models)), np.nan)
    for r in rows:
        if (r.input, r.control) in lines:
            table[lines.index((r.input, r.control)), models.index(r.target)] = r.value
    figure = style.new_figure(1.7 + 0.32 * len(lines))
    axes = figure.add_subplot()
    reach = max(float(np.nanmax(np.abs(table))), 0.1)
    axes.imshow(table, cmap="PuOr_r", vmin=-reach, vmax=reach, aspect="auto")
    axes.set_yticks(range(len(lines)), [_read_out(name) if c == "none" else "r, untrained" for name, c in lines])
    axes.set_xticks(range(len(models)), [_label(study, name) for name in models], rotation=35, ha="right")
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            style.write_cell(axes, row, column, value, dark=bool(abs(value) > 0.6 * reach))
    return figure


@study_figure(
    "rsa",
    "Correlations between RDMs: of r at each count, and at the largest count of an untrained network and of nuisances.",
)
def rsa_second_order(study: Study) -> Figure | None:
    """Draw the correlations of RDMs with each other."""
    rdms = _rdms(study)
    if not rdms:
        return None
    counts = study.summary["counts"]
    chosen = {f"{R} k={k}": f"r, k = {k}" for k in counts}
    chosen[f"untrained 1 {R} k={counts[-1]}"] = "untrained network"
    chosen |= {f"{name} k={counts[-1]}": _label(study, name) for name in ("pixels", "blank", "camera", "occupancy")}
    chosen = {name: title for name, title in chosen.items() if name in rdms}
    upper = np.triu_indices(len(next(iter(rdms.values()))), 1)
    table = np.corrcoef([rdms[name][upper] for name in chosen])
    figure = style.heat_map(list(range(len(chosen))), table, "correlation of RDMs", low=None)
    axes = figure.axes[0]
    axes.set_xticks(range(len(chosen)), list(chosen.values()), rotation=50, ha="right")
    axes.set_yticks(range(len(chosen)), list(chosen.values()))
    return figure


@study_figure(
    "rsa",
    "How well RDMs of the network and model RDMs predict those of the subjects: correlation, averaged over subjects, "
    "with its 95 % interval over subjects and stimuli. Shaded: the noise ceiling, the range in which the best possible "
    "model would lie.",
)
def rsa_subjects(study: Study) -> Figure | None:
    """Draw correlations with subjects as bars with the noise ceiling, or as curves where there are several times."""
    rows = [r for r in study.results if r.target == SUBJECTS]
    if not rows:
        return None
    alike = [r for r in rows if r.metric == ALIKE]
    best: dict[tuple[str, str], Result] = {}
    for r in sorted(alike, key=lambda r: r.value):
        best[r.input, r.control] = r
    chosen = sorted(best.values(), key=lambda r: -r.value)[:SHOWN]
    times = sorted({r.seed for r in rows if r.seed is not None})
    figure = style.new_figure(4.0 if times else 1.2 + 0.3 * len(chosen))
    axes = figure.add_subplot()
    low, high = ({r.seed: r.value for r in rows if r.metric == f"ceiling_{end}"} for end in ("low", "high"))
    if times:
        for i, case in enumerate(chosen[:5]):
            own = [r for r in alike if (r.input, r.control, r.count) == (case.input, case.control, case.count)]
            look = style.series_style(i) | {"marker": ""}
            style.plot_rows(axes, times, own, label=_candidate(study, case), **look)
        if low:
            axes.fill_between(times, [low[t] for t in times], [high[t] for t in times], color=style.RULE, linewidth=0)
        axes.set(xlabel="time", ylabel="correlation with subjects")
        style.legend_above(axes)
        return figure
    if low:
        axes.axvspan(low[None], high[None], color=style.RULE, linewidth=0)
    places = np.arange(len(chosen))[::-1]
    values = np.array([[r.value, r.low, r.high] for r in chosen], dtype=float)
    errors = np.abs(values[:, 1:] - values[:, :1]).T
    colors = [style.BLUE if r.control == "none" else style.MUTED for r in chosen]
    axes.barh(places, values[:, 0], color=colors, height=0.62)
    axes.errorbar(values[:, 0], places, xerr=errors, fmt="none", ecolor=style.INK, elinewidth=1)
    axes.set_yticks(places, [_candidate(study, r) for r in chosen])
    axes.axvline(0, color=style.MUTED, linewidth=0.8)
    axes.set_xlabel("correlation with subjects")
    axes.grid(axis="y", visible=False)
    return figure


def _candidate(study: Study, row: Result) -> str:
    name = _label(study, row.input) if row.control == "model" else _read_out(row.input)
    return f"{'untrained ' if row.control == 'untrained' else ''}{name}, k = {row.count}"


def _read_out(name: str) -> str:
    """Return a read-out in words: r, or the name of a layer."""
    return "r" if name == R else name.removeprefix("layer.")


def _label(study: Study, name: str) -> str:
    """Return a model RDM in words; a property's are the same as everywhere on the page."""
    return target_label(name) if name in TARGETS else study.label(name)


def _rows(study: Study) -> list[Result]:
    return [r for r in study.results if r.probe == "rsa" and r.target != SUBJECTS]


def _rdms(study: Study) -> dict[str, Float[np.ndarray, "n n"]]:
    found = study.arrays("rdms") if _rows(study) else {}
    return dict(zip(found["names"].tolist(), found["rdms"], strict=True)) if found else {}


def _first_coordinate(matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " n"]:
    """Return the first coordinate of classical scaling (Torgerson 1952)."""
    squared = matrix.astype(np.float64) ** 2
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1, keepdims=True) + squared.mean()
    return np.linalg.eigh(-centred)[1][:, -1]
