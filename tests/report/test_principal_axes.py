"""The planes of r: a dot a row, with the axes' shares."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from gqn_probe.report.figures.principal_axes import embedding
from gqn_probe.study_results import read_study


def test_a_dot_a_row_in_the_objects_colour(study_folder: Path, tmp_path: Path):
    points = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    share, color = np.array([0.7, 0.2, 0.05, 0.05], np.float32), np.array([[1.0, 0, 0], [0, 0, 1.0]], np.float32)
    arrays = {"sum": points, "mean": points, "sum_share": share, "mean_share": share}
    np.savez(tmp_path / "embedding.npz", counts=np.array([2, 4, 8]), color=color, **arrays)
    study = replace(read_study(study_folder), folder=tmp_path)
    figure = embedding(study)
    assert figure is not None
    first, _, third = figure.axes[:3]
    assert first.get_xlabel() == "axis 1 (70% of variance)"
    assert np.asarray(first.collections[0].get_offsets()).tolist() == points.reshape(6, 4)[:, :2].tolist()
    assert np.asarray(first.collections[0].get_array()).tolist() == [2, 4, 8, 2, 4, 8]
    assert np.asarray(third.collections[0].get_facecolor())[[0, 5], :3].tolist() == color.tolist()


def test_a_study_without_it_has_no_such_figure(bare_folder: Path):
    assert embedding(read_study(bare_folder)) is None
