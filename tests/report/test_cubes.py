"""Cubes are drawn where they are, as opaque as they are sure, and counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from gqn_probe.report.figures.cubes import cubes, cubes_found, draw_cubes
from gqn_probe.report.study_results import read_study


def test_cubes_found_are_among_as_many_surest_cells():
    true = np.array([1.0, 0.0, 1.0, 0.0])
    assert cubes_found(np.array([0.9, 0.1, 0.8, 0.2]), true) == 2
    assert cubes_found(np.array([0.9, 0.85, 0.8, 0.2]), true) == 1


def test_faces_are_as_opaque_as_the_cell_is_sure_and_near_ones_come_last():
    axes = Figure().add_subplot()
    cells = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    draw_cubes(axes, cells, np.array([1.5, 0.5, 0.05]), np.eye(3), reach=3)
    (drawn,) = axes.collections
    paints = np.asarray(drawn.get_facecolor())
    assert paints[:, 3].tolist() == [0.5] * 3 + [1.0] * 3  # the far cube first; the unsure one not at all
    assert (paints[3:, 1:3] == 0).all()  # red
    assert paints[3, 0] > max(paints[4:, 0])  # the brightest from above


@pytest.mark.slow
def test_the_eye_sees_the_sides_that_look_at_it():
    """From below and behind, the nearer of two cubes is the other one."""
    front, back = Figure().add_subplot(), Figure().add_subplot()
    cells, colors = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), np.eye(3)[:2]
    draw_cubes(front, cells, np.ones(2), colors, reach=2, azimuth=20, elevation=10)
    draw_cubes(back, cells, np.ones(2), colors, reach=2, azimuth=200, elevation=-10)
    last = [np.asarray(axes.collections[0].get_facecolor())[-1] for axes in (front, back)]
    assert last[0][1] > 0.4  # green, the second, comes last from in front
    assert last[1][0] > 0.4
    lowest = [
        min(np.asarray(path.vertices)[:, 1].min() for path in axes.collections[0].get_paths()) for axes in (front, back)
    ]
    assert abs(lowest[0] + 0.5) < 0.3


def test_a_row_an_object_a_column_a_count(study_folder: Path, tmp_path: Path):
    cells = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.int8)
    true, color = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]], np.float32), np.zeros((2, 3, 3), np.float32)
    read = {f"trained_{k}": true for k in (1, 15)} | {f"untrained_{k}": 1 - true for k in (1, 15)}
    read |= {f"trained_color_{k}": color for k in (1, 15)}
    np.savez(tmp_path / "voxels.npz", cells=cells, counts=np.array([1, 15]), true=true, true_color=color, **read)  # pyright: ignore[reportArgumentType]
    figure = cubes(replace(read_study(study_folder), folder=tmp_path))
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes[:4]] == [
        "true cubes",
        "from 1 image",
        "from 15 images",
        "untrained, 15",
    ]
    assert [axes.get_xlabel() for axes in figure.axes[4:]] == ["", "2 of 2", "2 of 2", "1 of 2"]


def test_a_study_without_voxels_has_no_such_figure(bare_folder: Path):
    assert cubes(read_study(bare_folder)) is None


def test_nothing_is_drawn_of_nothing():
    axes = Figure().add_subplot()
    draw_cubes(axes, np.zeros((1, 3)), np.zeros(1), np.zeros((1, 3)), reach=1)
    assert not axes.collections
