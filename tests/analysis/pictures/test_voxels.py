"""Where r holds an object, with planted representations that hold it, and that hold nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.pictures import voxels
from gqn_probe.analysis.pictures.voxels import voxel_grid, write_voxels
from gqn_probe.types import Scenes

STRENGTHS = (1e-3, 1e-1, 10.0)


def test_cells_are_where_the_cubes_are(rendered: Scenes):
    assert rendered.factors is not None
    cells, filled, colors = voxel_grid(rendered.factors)
    first = (rendered.factors.positions[0] / 0.25).round()
    found = cells[filled[0].bool()]
    assert {tuple(cell.tolist()) for cell in found} == {tuple(cell.int().tolist()) for cell in first}
    cube = first[2].int()
    here = (cells == cube).all(dim=1).nonzero()[0, 0]
    assert torch.equal(colors[0, here], rendered.factors.colors[0, 2])


@pytest.mark.parametrize("known", [True, False])
def test_what_is_held_is_read_and_what_is_not_is_not(
    study_inputs: StudyInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
):
    """Rows that are the occupancy itself; of unseen objects, cells that no training object fills cannot be read."""
    assert study_inputs.scenes.factors is not None
    _, filled, _ = voxel_grid(study_inputs.scenes.factors)
    noise = torch.randn(filled.shape, generator=torch.Generator().manual_seed(0))

    def planted(network: StudyInputs, name: str, views: object) -> Tensor:
        return filled if known and network is study_inputs else noise

    monkeypatch.setattr(voxels, "context_rows", planted)
    path = write_voxels(study_inputs, tmp_path, counts=[1, 3, 15], objects=4, strengths=STRENGTHS, seed=0)
    assert path is not None
    told = np.load(path)
    assert told["counts"].tolist() == [1, 3]  # of six views, five are usable
    true = told["true"].astype(bool)
    trained, untrained = told["trained_3"], told["untrained_3"]
    gap = trained[true].mean() - trained[~true].mean()
    assert (gap > 0.4) == known
    assert untrained[true].mean() - untrained[~true].mean() < 0.4
    assert told["trained_color_3"].shape == (*true.shape, 3)


def test_objects_that_are_not_known_are_left_out(study_inputs: StudyInputs, rendered: Scenes, tmp_path: Path):
    published = replace(study_inputs, scenes=Scenes(rendered.frames, rendered.cameras))
    assert write_voxels(published, tmp_path, counts=[1], objects=1, strengths=STRENGTHS, seed=0) is None
