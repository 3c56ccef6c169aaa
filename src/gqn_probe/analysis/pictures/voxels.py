"""Voxel grids decoded from r by ridge regression: occupancy and colour of each cell, for figures.

Fitted on some objects and applied to held-out ones at several counts, for the trained and an untrained network.
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
from gqn_probe.analysis.probes.ridge import KernelRidge, linear_kernel
from gqn_probe.analysis.questions.splits import split_groups
from gqn_probe.analysis.questions.targets import OFTEN, Values, cell_indices
from gqn_probe.atomic_io import write_arrays
from gqn_probe.data.store.store_reader import StoredScenes
from gqn_probe.types import Factors

INPUT = "whole"  # all numbers of r
MIN_OBJECTS = 10  # for a split
MAX_OBJECTS = 5000  # the Gram matrix is in memory


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
    """Write ``voxels.npz``; return None if the objects are unknown or too few.

    It holds ``cells`` (g 3) in cubes from the centre, ``counts``, and of some held-out ``objects`` (o) the true
    occupancy ``true`` (o g) and ``true_color`` (o g 3); for each count K the decoded ``trained_K`` and ``untrained_K``
    (o g), ``trained_color_K`` and ``untrained_color_K`` (o g 3).

    Args:
        counts: numbers of context images; those above the scenes' usable views are left out.
        objects: number of held-out objects to write.
        strengths: candidates of the ridge regression.
        seed: of the order of views.
        untrained: seed of the untrained weights; the study's, whose features are cached.
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
    """Decode every cell of held-out objects from each network's r.

    Returns:
        ``objects`` (o), their indices; ``cells`` (g 3); ``true`` (o g) and ``true_color`` (o g 3); and for each
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
    targets = Values(filled), Values(rearrange(filled[..., None] * colors, "s g c -> s (g c)"))
    for name, network in networks.items():
        for count in counts:
            views = nested(number, network.scenes.views, count, seed)
            kernel = linear_kernel(context_rows(network, INPUT, views))
            decoded = KernelRidge(kernel, train, strengths).predict(targets)
            occupied, mass = (each.values[test].float() for each in decoded)
            mass = rearrange(mass, "o (g c) -> o g c", c=3)
            found[f"{name}_{count}"] = occupied.numpy()
            found[f"{name}_color_{count}"] = (mass / occupied.clamp(min=0.05)[..., None]).clamp(0, 1).numpy()
    return found


def voxel_grid(factors: Factors) -> tuple[Int[Tensor, "g 3"], Float[Tensor, "s g"], Float[Tensor, "s g 3"]]:
    """Return the cells that 1 % of objects fill, in cubes from the centre, and each object's occupancy and colours."""
    index, side = cell_indices(factors.positions)
    axis = torch.arange(side) - side // 2
    cells = torch.cartesian_prod(axis, axis, axis)
    filled = torch.zeros(len(index), side**3 + 1).scatter_(1, index, 1.0)[:, :-1]  # the last collects missing cubes
    colors = torch.zeros(len(index), side**3 + 1, 3)
    colors.scatter_(1, index[..., None].expand(-1, -1, 3), factors.colors.nan_to_num().float())
    often = filled.mean(dim=0) >= OFTEN
    return cells[often], filled[:, often], colors[:, :-1][:, often]
