"""Correlations of every representation's RDM with every model RDM of its count, plain and partial.

RDMs hold every pair of scenes. More scenes than a matrix can hold are compared in random blocks: a block gives an
estimate with the variance of its bootstrap, and blocks, which share no scene, are averaged.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gqn_probe.analysis.rsa.rdm import count_conditions
from gqn_probe.analysis.rsa.resampling import (
    BLOCK,
    bootstrap_variance,
    correlations,
    draw_bootstrap,
    pair_weights,
    partial,
    t_interval,
)
from gqn_probe.progress import progress
from gqn_probe.results import Result

LARGEST = 500  # scenes that are compared with each other: RDMs of some 130 read-outs and models are 130 MB
FEWEST_SAMPLES = 100  # of a block, where the samples are shared out among many
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


class Comparison(NamedTuple):
    """A representation and the model RDM that it is compared with."""

    model: str
    input: str
    control: str
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    metric: str


class Estimate(NamedTuple):
    """Correlation of two RDMs of some scenes."""

    value: float
    variance: float  # over new scenes, by bootstrap
    scenes: int


class _Group(NamedTuple):
    """RDMs of a count, over the pairs of scenes that some models are defined for."""

    cells: list[Cell]
    models: list[str]  # the models defined for these pairs
    names: list[str]  # the same and all nuisances
    pairs: Bool[np.ndarray, " pair"]
    vectors: Float[np.ndarray, "vector pair"]  # of cells, then names


def random_blocks(scenes: int, seed: int) -> list[Int[np.ndarray, " n"]]:
    """Divide scenes at random into blocks of at most ``LARGEST``, as few as possible; one block keeps their order."""
    blocks = -(-scenes // LARGEST)
    order = np.random.default_rng([seed, 3]).permutation(scenes) if blocks > 1 else np.arange(scenes)
    return [np.sort(block) for block in np.array_split(order, blocks)]


def samples_per_block(draws: int, blocks: int) -> int:
    """Share out bootstrap samples among blocks, whose mean needs as many as one estimate does."""
    return max(-(-draws // blocks), min(draws, FEWEST_SAMPLES))


def compare_rdms(
    cells: Mapping[Cell, Vector],
    models: Mapping[tuple[str, int], Vector],
    nuisances: Sequence[str],
    *,
    draws: int,
    rng: np.random.Generator,
) -> dict[Comparison, Estimate]:
    """Correlate each representation with each model RDM of its count; untrained networks are averaged.

    Args:
        models: model RDMs and nuisances, by name and count; NaN for pairs that one is not defined for.
        nuisances: names of those that are regressed out of both for the partial correlation.
    """
    scenes = count_conditions(len(next(iter(cells.values()))))
    groups = [*_groups(cells, models, nuisances)]
    tables: list[list[np.ndarray]] = [[] for _ in groups]
    drawn = draw_bootstrap(scenes, draws, rng)
    with progress("comparing", draws, "samples") as advance:
        for times in (np.ones((1, scenes), dtype=int), *np.array_split(drawn, -(-draws // BLOCK))):
            weights = pair_weights(times)
            for group, table in zip(groups, tables, strict=True):
                own = weights[:, group.pairs]
                table.append(correlations(group.vectors, own[own.sum(axis=1) > 0]))
            advance(len(times))
    found: dict[Comparison, Estimate] = {}
    for group, table in zip(groups, tables, strict=True):
        raw = np.concatenate(table)
        for model in group.models:
            first = len(group.cells)
            drop = [first + group.names.index(other) for other in nuisances if other in group.names and other != model]
            for metric, values in ((ALIKE, raw), (PARTIAL, partial(raw, drop))):
                column = values[:, :first, first + group.names.index(model)]
                found |= _over_networks(group.cells, model, metric, column, scenes)
    return found


def pooled_rows(blocks: Sequence[Mapping[Comparison, Estimate]]) -> Iterator[Result]:
    """Yield the mean over blocks of each comparison, with its interval over scenes."""
    for case in dict.fromkeys(case for block in blocks for case in block):
        own = [block[case] for block in blocks if case in block]
        scenes = sum(each.scenes for each in own)
        value = sum(each.value for each in own) / len(own)
        variance = sum(each.variance for each in own) / len(own) ** 2
        names = (case.model, case.input, case.control, "rsa")
        found = t_interval(value, variance, scenes)
        yield Result.pooled(names, case.metric, found, n=scenes, count=case.count, split="")


def _over_networks(
    cells: Sequence[Cell], model: str, metric: str, values: Float[np.ndarray, "draw cell"], scenes: int
) -> Iterator[tuple[Comparison, Estimate]]:
    groups: dict[tuple[str, str], list[int]] = {}
    for column, cell in enumerate(cells):
        groups.setdefault((cell.input, cell.control), []).append(column)
    for (input, control), columns in groups.items():
        mean = values[:, columns].mean(axis=1)
        if np.isfinite(mean[0]):
            estimate = Estimate(float(mean[0]), bootstrap_variance(mean[1:], scenes), scenes)
            yield Comparison(model, input, control, cells[0].count, metric), estimate


def _groups(
    cells: Mapping[Cell, Vector], models: Mapping[tuple[str, int], Vector], nuisances: Sequence[str]
) -> Iterator[_Group]:
    """Yield the RDMs of each count, apart for models that are defined for other pairs."""
    for count in sorted({cell.count for cell in cells}):
        own = [cell for cell in cells if cell.count == count]
        vectors = {name: vector for (name, at), vector in models.items() if at == count}
        together: dict[bytes, list[str]] = {}
        for name, vector in vectors.items():
            together.setdefault(np.isfinite(vector).tobytes(), []).append(name)
        for defined in together.values():
            names = [*defined, *(name for name in nuisances if name in vectors and name not in defined)]
            pairs = np.isfinite(vectors[defined[0]])
            stacked = np.stack([*(cells[cell] for cell in own), *(vectors[name] for name in names)])
            yield _Group(own, defined, names, pairs, stacked[:, pairs])
