"""Representational similarity analysis: RDMs, what they are like as images are added, and the RDMs of subjects."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gqn_probe.report import style
from gqn_probe.report.figure_registry import study_figure
from gqn_probe.results import Result
from gqn_probe.study_results import Study

R = "whole"
ALIKE, PARTIAL = "rdm_correlation", "rdm_partial_correlation"
NUISANCES = ("camera", "pixels", "blank")
SUBJECTS = "subjects"
SHOWN = 12  # bars of candidates


@study_figure(
    "rsa",
    "Correlation of r's RDM with each model RDM, by number of context images. Left as it is: what follows the camera "
    "shows here. Right when the cameras' positions, the summed pixels and r of blank images are partialled out; there "
    "dashed lines are untrained networks. Bands: 95 % interval over scenes.",
)
def rsa_models(study: Study) -> Figure | None:
    """Two panels, as it is and partial: a line a model RDM, by count."""
    rows = _rows(study)
    if not rows:
        return None
    models = list(dict.fromkeys(r.target for r in rows))
    figure = style.blank(8.6, 4.4)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, metric, title in ((left, ALIKE, "as it is"), (right, PARTIAL, "cameras, pixels, blank images out")):
        shown = [name for name in models if metric == ALIKE or name not in NUISANCES]
        for name in shown:
            index = models.index(name)
            own = [r for r in rows if (r.target, r.input, r.control, r.metric) == (name, R, "none", metric)]
            _line(axes, own, study.label(name), index)
            if metric == PARTIAL:
                other = [r for r in rows if (r.target, r.input, r.control, r.metric) == (name, R, "untrained", metric)]
                color = _look(index)[0]
                axes.plot([r.count or 0 for r in other], [r.value for r in other], color=color, dashes=(2, 2), linewidth=1)
        axes.axhline(0, color=style.MUTED, **style.GUESS)
        axes.set_title(title)
        style.count_axis(axes, sorted({r.count for r in rows if r.count is not None}), study.count_axis)
    left.set_ylabel("correlation of RDMs")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@study_figure(
    "rsa",
    "The distance between every two scenes, as ranks, scenes sorted by shape: of r at the least and the largest "
    "count, and of models at the largest. Light is far apart. A block along the diagonal is scenes of one shape.",
)
def rsa_matrices(study: Study) -> Figure | None:
    """RDMs of r beside those of models."""
    path = study.folder / "rdms.npz"
    if not path.is_file() or not _rows(study):
        return None
    with np.load(path, allow_pickle=False) as file:
        rdms, names = file["rdms"], [str(name) for name in file["names"]]
    counts, order = study.summary["counts"], study.summary["order"]
    chosen = {f"r of {k}": f"{R} k={k}" for k in dict.fromkeys((counts[0], counts[-1]))}
    chosen |= {study.label(name): f"{name} k={counts[-1]}" for name in ("shape", "occupancy", "color_where", *NUISANCES)}
    chosen = {title: name for title, name in chosen.items() if name in names}
    figure = style.blank(8.6, 0.3 + 2.25 * -(-len(chosen) // 4))
    grid = figure.subplots(-(-len(chosen) // 4), 4, squeeze=False).flat
    for axes, (title, name) in zip(grid, chosen.items(), strict=False):
        matrix = rdms[names.index(name)][np.ix_(order, order)]
        ranks = np.searchsorted(np.sort(matrix[np.triu_indices(len(matrix), 1)]), matrix) / matrix.size
        axes.imshow(ranks, cmap="cividis", interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
    for axes in list(grid):
        axes.remove()
    return figure


@study_figure(
    "rsa",
    "Each read-out beside each model RDM at the largest count, cameras, pixels and blank images partialled out: where on "
    "the way to r each respect comes to the fore.",
)
def rsa_read_outs(study: Study) -> Figure | None:
    """A table of partial correlations: read-outs by model RDMs."""
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
    figure = style.blank(max(5.2, 0.62 * len(models) + 2.4), 1.6 + 0.32 * len(lines))
    axes = figure.add_subplot()
    reach = max(float(np.nanmax(np.abs(table))), 0.1)
    axes.imshow(table, cmap="PuOr_r", vmin=-reach, vmax=reach, aspect="auto")
    names = {R: "r", **{name: name.removeprefix("layer.") for name in inputs}}
    axes.set_yticks(range(len(lines)), [names[i] if c == "none" else "r, untrained" for i, c in lines])
    axes.set_xticks(range(len(models)), [study.label(name) for name in models], rotation=35, ha="right")
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            dark = abs(value) > 0.6 * reach
            text = f"{value:.2f}".replace("0.", ".", 1)
            axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color="#fefefe" if dark else "#111111")
    return figure


@study_figure(
    "rsa",
    "How alike the geometries themselves are: correlation between the RDMs of r at each count, of untrained networks and "
    "of the nuisances at the largest count.",
)
def rsa_second_order(study: Study) -> Figure | None:
    """Correlations of RDMs with each other."""
    path = study.folder / "rdms.npz"
    if not path.is_file() or not _rows(study):
        return None
    with np.load(path, allow_pickle=False) as file:
        rdms, names = file["rdms"], [str(name) for name in file["names"]]
    counts = study.summary["counts"]
    chosen = {f"{R} k={k}": f"r of {k}" for k in counts}
    chosen[f"untrained 1 {R} k={counts[-1]}"] = f"untrained, {counts[-1]}"
    chosen |= {f"{name} k={counts[-1]}": study.label(name) for name in ("pixels", "blank", "camera", "occupancy")}
    chosen = {name: title for name, title in chosen.items() if name in names}
    upper = np.triu_indices(rdms.shape[1], 1)
    table = np.corrcoef([rdms[names.index(name)][upper] for name in chosen])
    figure = style.heat_map(list(range(len(chosen))), table, "correlation of RDMs", low=None)
    axes = figure.axes[0]
    axes.set_xticks(range(len(chosen)), list(chosen.values()), rotation=50, ha="right")
    axes.set_yticks(range(len(chosen)), list(chosen.values()))
    return figure


@study_figure(
    "rsa",
    "How the RDMs of the network and of models predict those of the subjects: mean correlation over subjects, with its "
    "95 % interval over subjects and stimuli. Shaded: the noise ceiling, which the best model of these subjects lies in.",
)
def rsa_subjects(study: Study) -> Figure | None:
    """Bars of the best candidates with the noise ceiling; curves by time where there are several."""
    rows = [r for r in study.results if r.target == SUBJECTS]
    if not rows:
        return None
    alike = [r for r in rows if r.metric == ALIKE]
    best: dict[tuple[str, str], Result] = {}
    for r in sorted(alike, key=lambda r: r.value):
        best[r.input, r.control] = r
    chosen = sorted(best.values(), key=lambda r: -r.value)[:SHOWN]
    times = sorted({r.seed for r in rows if r.seed is not None})
    figure = style.blank(5.2, 4.0 if times else 1.2 + 0.3 * len(chosen))
    axes = figure.add_subplot()
    low, high = ({r.seed: r.value for r in rows if r.metric == f"ceiling_{end}"} for end in ("low", "high"))
    if times:
        for i, case in enumerate(chosen[:5]):
            own = [r for r in alike if (r.input, r.control, r.count) == (case.input, case.control, case.count)]
            color, _, dash = _look(i)
            axes.plot(times, [r.value for r in own], color=color, linestyle=dash, label=_candidate(study, case))
            axes.fill_between(times, [r.low or 0 for r in own], [r.high or 0 for r in own], color=color, alpha=style.BAND)
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
    name = "r" if row.input == R else study.label(row.input).removeprefix("layer.")
    network = "untrained " if row.control == "untrained" else ""
    return f"{network}{name}, k = {row.count}"


def _rows(study: Study) -> list[Result]:
    return [r for r in study.results if r.probe == "rsa" and r.target != SUBJECTS]


def _look(index: int) -> tuple[str, str, str]:
    color, marker, dash = style.SERIES[index % len(style.SERIES)]
    return color, ("o", "s", "^", "D", "v", "X", "P", "*", "h", "<")[index % 10] if index >= len(style.SERIES) else marker, dash


def _line(axes: Axes, rows: list[Result], label: str, index: int) -> None:
    if not rows:
        return
    color, marker, dash = _look(index)
    counts = [r.count or 0 for r in rows]
    axes.plot(counts, [r.value for r in rows], color=color, marker=marker, linestyle=dash, label=label)
    low, high = (np.array([getattr(r, bound) for r in rows], dtype=float) for bound in ("low", "high"))
    axes.fill_between(counts, low, high, color=color, alpha=style.BAND / 2, linewidth=0)
