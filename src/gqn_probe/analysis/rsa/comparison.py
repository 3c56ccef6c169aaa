"""Correlations of every representation's RDM with every model RDM of its count, plain and partial."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from gqn_probe.analysis.rsa.resampling import (
    BLOCK,
    bootstrap_interval,
    correlations,
    draw_bootstrap,
    pair_weights,
    partial,
)
from gqn_probe.progress import progress
from gqn_probe.results import Result

ALIKE, PARTIAL = "rdm_correlation", "rdm_partial_correlation"
Vector = Float[np.ndarray, " pair"]


class Cell(NamedTuple):
    """RDM of a representation at a count."""

    input: str
    control: str  # "none" or "untrained"
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    copy: int = 0  # of several untrained networks

    @property
    def name(self) -> str:
        network = "" if self.control == "none" else f"{self.control} {self.copy + 1} "
        return f"{network}{self.input} k={self.count}"


def comparison_rows(
    cells: Mapping[Cell, Vector],
    models: Mapping[tuple[str, int], Vector],
    nuisances: Sequence[str],
    *,
    draws: int,
    seed: int,
) -> Iterator[Result]:
    """Yield a row for each representation, model RDM, count and metric; untrained networks are averaged.

    Args:
        models: model RDMs and nuisances, by name and count; NaN for pairs that one is not defined for.
        nuisances: names of those that are regressed out of both for the partial correlation.
    """
    counts = sorted({cell.count for cell in cells})
    stimuli = round((1 + (1 + 8 * len(next(iter(cells.values())))) ** 0.5) / 2)
    drawn = draw_bootstrap(stimuli, draws, np.random.default_rng([seed, 1]))
    times = [np.ones((1, stimuli), dtype=int), *np.array_split(drawn, -(-draws // BLOCK))]
    samples = [pair_weights(each) for each in times]
    with progress("comparing", len(counts), "counts") as advance:
        for count in counts:
            own = [cell for cell in cells if cell.count == count]
            vectors = {name: vector for (name, at), vector in models.items() if at == count}
            free = [name for name in nuisances if name in vectors]
            for defined, together in _by_pairs(vectors):
                names = [*together, *(name for name in free if name not in together)]
                stacked = np.stack([*(cells[cell] for cell in own), *(vectors[name] for name in names)])[:, defined]
                weights = [w[:, defined] for w in samples]
                raw = np.concatenate([correlations(stacked, w[w.sum(axis=1) > 0]) for w in weights])
                for name in together:
                    drop = [len(own) + names.index(other) for other in free if other != name]
                    for metric, table in ((ALIKE, raw), (PARTIAL, partial(raw, drop))):
                        values = table[:, : len(own), len(own) + names.index(name)]
                        yield from _over_networks(own, name, metric, values, stimuli)
            advance(1)


def _over_networks(
    cells: Sequence[Cell], model: str, metric: str, values: Float[np.ndarray, "draw cell"], stimuli: int
) -> Iterator[Result]:
    groups: dict[tuple[str, str], list[int]] = {}
    for column, cell in enumerate(cells):
        groups.setdefault((cell.input, cell.control), []).append(column)
    for (input, control), columns in groups.items():
        mean = values[:, columns].mean(axis=1)
        if np.isfinite(mean[0]):
            found = bootstrap_interval(float(mean[0]), mean[1:], stimuli)
            case = (model, input, control, "rsa")
            yield Result.pooled(case, metric, found, n=stimuli, count=cells[0].count, split="")


def _by_pairs(models: Mapping[str, Vector]) -> Iterator[tuple[Bool[np.ndarray, " pair"], list[str]]]:
    """Group models that are defined for the same pairs; yield these pairs with their models."""
    groups: dict[bytes, list[str]] = {}
    for name, vector in models.items():
        groups.setdefault(np.isfinite(vector).tobytes(), []).append(name)
    for names in groups.values():
        yield np.isfinite(models[names[0]]), names
