"""Where r holds an object: which cells of a grid are filled, and in which colour, read linearly from r.

A ridge regression is fitted on some objects and asked about others, at several counts, for the trained network and for
one of newly initialised weights. Each object's cells stand in ``voxels.npz``, for figures to draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.inputs.context_readouts import context_rows
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import nested
from gqn_probe.analysis.probes.ridge import Block, KernelRidge, linear_kernel
from gqn_probe.analysis.questions.splits import split_groups
from gqn_probe.analysis.questions.targets import OFTEN, grid_cells
from gqn_probe.atomic_io import write_arrays
from gqn_probe.data.store.store_reader import StoredScenes
from gqn_probe.types import Factors

INPUT = "whole"  # every number of r
MIN_OBJECTS = 10  # objects from which a split can be made
MAX_OBJECTS = 5000  # objects, of the first: products of all with each other are in memory


def write_voxels(
    study_inputs: StudyInputs,
    folder: Path,
    *,
    counts: Sequence[int],
    objects: int,
    strengths: Sequence[float],
    seed: int,
    untrained: int = 0,
) -> Path | None:
    """Write ``voxels.npz``; None where the objects are not known, or too few.

    It holds ``cells`` (g 3) in cubes from the middle, ``counts``, and of some held-out ``objects`` (o) ``true`` (o g)
    and ``true_color`` (o g 3); for each count ``trained_K`` and ``untrained_K`` (o g), what is read of ``true``, and
    ``trained_color_K`` and ``untrained_color_K`` (o g 3).

    Args:
        counts: numbers of context images; what the scenes have not enough views for is left out.
        objects: how many held-out objects to show.
        strengths: of the ridge, of which leaving out one object chooses.
        seed: of the order in which views are added.
        untrained: seed of the newly initialised weights; the study's own, so that their features are there already.
    """
    if study_inputs.scenes.factors is None or len(study_inputs.scenes) < MIN_OBJECTS:
        return None
    if len(study_inputs.scenes) > MAX_OBJECTS:
        scenes = study_inputs.scenes
        some = scenes.select(slice(MAX_OBJECTS)) if isinstance(scenes, StoredScenes) else scenes[:MAX_OBJECTS]
        study_inputs = replace(study_inputs, scenes=some)
    usable = sorted({count for count in counts if count <= study_inputs.usable_views})
    networks = {"trained": study_inputs, "untrained": study_inputs.untrained(untrained)}
    found = decode_voxels(networks, usable, strengths=strengths, seed=seed)
    shown = {name: values[:objects] for name, values in found.items() if name != "cells"}
    write_arrays(folder / "voxels.npz", {"counts": np.array(usable), "cells": found["cells"], **shown})
    return folder / "voxels.npz"


def decode_voxels(
    networks: Mapping[str, StudyInputs], counts: Sequence[int], *, strengths: Sequence[float], seed: int
) -> dict[str, np.ndarray]:
    """What each network's r tells of every cell of the objects that the read-out was not fitted on.

    Returns:
        ``objects`` (o), which they are; ``cells`` (g 3); ``true`` (o g) and ``true_color`` (o g 3); and for each
        network and count ``NAME_K`` (o g) and ``NAME_color_K`` (o g 3).
    """
    first = next(iter(networks.values()))
    factors, number = first.scenes.factors, len(first.scenes)
    assert factors is not None
    cells, filled, colors = voxel_grid(factors)
    split = split_groups(torch.arange(number), seed)
    train, test = torch.cat([split.train, split.validation]), split.test
    found = {"objects": test.numpy(), "cells": cells.numpy().astype(np.int8)}
    found |= {"true": filled[test].numpy(), "true_color": colors[test].numpy()}
    values = torch.cat([filled, rearrange(filled[..., None] * colors, "s g c -> s (g c)")], dim=1)
    blocks = [Block(0, len(cells)), Block(len(cells), values.shape[1])]
    for name, network in networks.items():
        for count in counts:
            views = nested(number, network.scenes.views, count, seed)
            kernel = linear_kernel(context_rows(network, INPUT, views))
            told = KernelRidge(kernel, train, strengths).predict(values, blocks).values[test].float()
            occupied, mass = told.split([len(cells), 3 * len(cells)], dim=1)
            mass = rearrange(mass, "o (g c) -> o g c", c=3)
            found[f"{name}_{count}"] = occupied.numpy()
            found[f"{name}_color_{count}"] = (mass / occupied.clamp(min=0.05)[..., None]).clamp(0, 1).numpy()
    return found


def voxel_grid(factors: Factors) -> tuple[Int[Tensor, "g 3"], Float[Tensor, "s g"], Float[Tensor, "s g 3"]]:
    """The cells that 1 % of objects fill, in cubes from the middle; which of them each fills, and in which colour."""
    positions = factors.positions
    known = ~positions.isnan().any(dim=-1)
    places = grid_cells(positions.nan_to_num())
    reach = int(places[known].abs().max())
    axis = torch.arange(-reach, reach + 1)
    cells = torch.cartesian_prod(axis, axis, axis)
    side = len(axis)
    index = ((places[..., 0] + reach) * side + places[..., 1] + reach) * side + places[..., 2] + reach
    index = torch.where(known, index, side**3)  # what is no cube goes to a last column
    filled = torch.zeros(len(positions), side**3 + 1).scatter_(1, index, 1.0)[:, :-1]
    colors = torch.zeros(len(positions), side**3 + 1, 3)
    colors.scatter_(1, index[..., None].expand(-1, -1, 3), factors.colors.nan_to_num().float())
    often = filled.mean(dim=0) >= OFTEN
    return cells[often], filled[:, often], colors[:, :-1][:, often]
