"""The planes of r: a dot a row, with the axes' shares."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.colors import to_hex

from gqn_probe.report import style
from gqn_probe.report.figures.principal_axes import _neighbourhoods_caption, embedding, neighbourhoods
from gqn_probe.report.study_results import read_study


def test_a_dot_a_row_in_the_objects_colour(study_folder: Path, tmp_path: Path):
    points = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    share, color = np.array([0.7, 0.2, 0.05, 0.05], np.float32), np.array([[1.0, 0, 0], [0, 0, 1.0]], np.float32)
    arrays = {"sum": points, "mean": points, "sum_share": share, "mean_share": share}
    np.savez(tmp_path / "embedding.npz", counts=np.array([2, 4, 8]), color=color, **arrays)
    study = replace(read_study(study_folder), folder=tmp_path)
    figure = embedding(study)
    assert figure is not None
    first, _, third = (axes for axes in figure.axes if axes.get_title())
    assert first.get_xlabel() == "axis 1 (70 % of variance)"
    assert np.asarray(first.collections[0].get_offsets()).tolist() == points.reshape(6, 4)[:, :2].tolist()
    assert np.asarray(first.collections[0].get_array()).tolist() == [2, 4, 8, 2, 4, 8]
    assert np.asarray(third.collections[0].get_facecolor())[[0, 5], :3].tolist() == color.tolist()


def test_neighbourhoods_are_by_count_and_shape(study_folder: Path, tmp_path: Path):
    """Of two objects of one shape and four of another, the commoner has the first colour."""
    plane, shape = np.arange(6 * 2 * 2, dtype=np.float32).reshape(6, 2, 2), np.array([7, 3, 3, 7, 3, 3])
    arrays = {"sum": plane, "neighbours": plane, "neighbours_counts": np.array([2, 15])}
    np.savez(tmp_path / "embedding.npz", shape=shape, neighbours_method=np.array("t-SNE"), **arrays)
    study = replace(read_study(study_folder), folder=tmp_path)
    figure = neighbourhoods(study)
    assert figure is not None
    by_count, by_shape = (axes for axes in figure.axes if axes.get_title())
    assert np.asarray(by_count.collections[0].get_array()).tolist() == [2, 15] * 6
    colours = [to_hex(colour) for colour in np.asarray(by_shape.collections[0].get_facecolor())]
    assert colours == [colour for each in shape for colour in 2 * [style.BLUE if each == 3 else style.VERMILION]]
    assert "(t-SNE of r divided by the count)" in _neighbourhoods_caption(study)


def test_a_study_without_it_has_no_such_figure(bare_folder: Path):
    assert embedding(read_study(bare_folder)) is None
    assert neighbourhoods(read_study(bare_folder)) is None
