"""What one image hides is shown from where it hides it."""

import json
import shutil
from pathlib import Path

import numpy as np
from viewer_pictures import viewer_colour

from gqn_probe.report.figures.hidden_sides import hidden_sides, near_and_side_cameras
from gqn_probe.report.study_results import read_study


def test_the_sides_are_beside_the_camera_and_at_a_right_angle_to_it():
    told = {"azimuths": 4, "elevations": [-30, 15, 55], "context": [[[85.0, 20.0]]]}
    beside, aside = near_and_side_cameras(told, 0)
    assert divmod(beside, 4) == (1, 1)  # 15 degrees up, at 90
    assert divmod(aside, 4) in ((0, 1), (1, 0), (1, 2))  # the angle between is a right one, more or less


def test_pictures_are_those_of_either_side(study_folder: Path):
    figure = hidden_sides(read_study(study_folder))
    assert figure is not None
    shown = [tuple(np.asarray(axes.images[0].get_array())[8, 8]) for axes in figure.axes[:8]]  # pyright: ignore
    told = json.loads((study_folder / "study" / "viewer" / "viewer.json").read_text())
    here, there = (divmod(place, 4) for place in near_and_side_cameras(told, 0))
    of = [("truth", 0, here), ("mean", 1, here), ("spread", 1, here)]
    of += [("truth", 0, there), ("mean", 1, there), ("spread", 1, there), ("mean", 5, there)]
    assert shown[0] == viewer_colour(0, "context", 0, 0, 0)
    assert shown[1:] == [viewer_colour(0, kind, count, *place) for kind, count, place in of]
    assert figure.axes[2].get_xlabel() == "error 1"


def test_photographs_have_no_other_sides_to_compare_with(study_folder: Path, tmp_path: Path):
    folder = Path(shutil.copytree(study_folder, tmp_path / "copy"))
    told = folder / "study" / "viewer" / "viewer.json"
    told.write_text(json.dumps(json.loads(told.read_text()) | {"errors": None}))
    assert hidden_sides(read_study(folder)) is None


def test_a_study_without_a_viewer_has_no_such_figure(bare_folder: Path):
    assert hidden_sides(read_study(bare_folder)) is None
