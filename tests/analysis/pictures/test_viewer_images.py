"""The pictures of the viewer: as many as are asked for, where they belong, and small."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import view_orders
from gqn_probe.analysis.pictures.viewer_images import ViewerSettings, write_viewer
from gqn_probe.data.stimuli.cameras import facing_origin
from gqn_probe.data.stimuli.ray_caster import render_objects
from gqn_probe.data.stimuli.scene_renderer import DEFAULT_LENS
from gqn_probe.types import Scenes, to_unit

SETTINGS = ViewerSettings(objects=2, counts=[1, 3, 15], azimuths=4, elevations=[-40, 0, 40], samples=2, megabytes=1)
RENDER = partial(render_objects, lens=DEFAULT_LENS, size=16, background="plain")


@pytest.fixture
def made(study_inputs: StudyInputs, tmp_path: Path) -> Path:
    path = write_viewer(study_inputs, SETTINGS, tmp_path / "viewer", seed=0, render=RENDER)
    assert path is not None
    return path.parent


def sheet(folder: Path, name: str) -> np.ndarray:
    """The pictures of a sheet: row, column, h, w, c."""
    with Image.open(folder / f"{name}.webp") as image:
        pixels = np.asarray(image.convert("RGB"))
    rows, columns = (length // 16 for length in pixels.shape[:2])
    return pixels.reshape(rows, 16, columns, 16, 3).swapaxes(1, 2)


def test_every_picture_that_can_be_asked_for_is_there(made: Path):
    told = json.loads((made / "viewer.json").read_text())
    assert told["counts"] == [1, 3, 5]  # of six views, five are usable
    assert told["truth"] == "rendered"
    assert np.array(told["errors"]).shape == (2, 3, 12)
    kinds = ["truth", "context", *(f"{kind}-{k}" for kind in ("mean", "spread", "without") for k in (1, 3, 5))]
    assert {path.stem for path in made.glob("*.webp")} == {f"{i}-{kind}" for i in range(2) for kind in kinds}
    assert sheet(made, "0-mean-3").shape[:2] == (3, 4)
    assert sheet(made, "0-without-5").shape[:2] == (5, 4)
    assert sheet(made, "1-context").shape[:2] == (1, 5)


def test_the_truth_is_where_the_camera_is(made: Path, rendered: Scenes):
    assert rendered.factors is not None
    up = np.deg2rad(40)
    camera = facing_origin(3 * torch.tensor([[[0.0, np.cos(up), np.sin(up)]]], dtype=torch.float32))
    expected = RENDER(rendered[:1].factors, camera)[0, 0].permute(1, 2, 0).numpy()  # pyright: ignore[reportArgumentType]
    found = sheet(made, "0-truth")[2, 1]  # the upper ring, a quarter around
    assert np.abs(found.astype(int) - expected).mean() < 12  # WebP is lossy
    assert np.abs(sheet(made, "0-truth")[0, 1].astype(int) - expected).mean() > 12


def test_context_images_are_in_the_studys_order(made: Path, rendered: Scenes):
    first = rendered.frames[1, view_orders(2, 6, 0)[1, 0]].permute(1, 2, 0).numpy()
    assert np.abs(sheet(made, "1-context")[0, 0].astype(int) - first).mean() < 12


def test_what_is_left_out_is_not_in_the_sum(study_inputs: StudyInputs, made: Path):
    """Without the only image nothing is left, whatever the object; without one of three, what the other two give."""
    nothing = [sheet(made, f"{i}-without-1").astype(int) for i in range(2)]
    assert np.abs(nothing[0] - nothing[1]).max() < 4
    gqn, scenes = study_inputs.gqn, study_inputs.scenes[:1]
    kept = view_orders(2, 6, 0)[0, [0, 2]]
    ring = facing_origin(3 * torch.tensor([[1.0, 0.0, 0.0]]))
    with torch.no_grad():
        phi = gqn.encode(to_unit(scenes.frames[:, kept]), study_inputs.encode_cameras(scenes.cameras[:, kept]))
        camera = study_inputs.encode_cameras(ring)
        drawn = gqn.sample_from(gqn.aggregate(phi), camera, deterministic=True, size=(16, 16))[0]
    expected = drawn.clamp(0, 1).mul(255).permute(1, 2, 0).numpy()
    assert np.abs(sheet(made, "0-without-3")[1, 0] - expected).mean() < 12


def test_the_same_seed_gives_the_same_pictures(study_inputs: StudyInputs, made: Path, tmp_path: Path):
    write_viewer(study_inputs, SETTINGS, tmp_path / "again", seed=0, render=RENDER)
    for path in made.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_own_images_show_the_nearest_given_view(study_inputs: StudyInputs, rendered: Scenes, tmp_path: Path):
    path = write_viewer(study_inputs, SETTINGS, tmp_path / "viewer", seed=0, render=None)
    assert path is not None
    told = json.loads(path.read_text())
    assert told["truth"] == "nearest given view"
    assert told["errors"] is None  # the nearest view is not the truth
    assert told["elevations"] == sorted(told["elevations"])
    shown = sheet(path.parent, "0-truth").reshape(-1, 16, 16, 3).astype(int)
    given = rendered.frames[0].permute(0, 2, 3, 1).numpy()
    assert all(min(np.abs(picture - view).mean() for view in given) < 12 for picture in shown)


def test_cameras_within_a_room_make_none(study_inputs: StudyInputs, rendered: Scenes, tmp_path: Path):
    near = rendered.cameras.clone()
    near[:, ::2, :3] *= 0.3
    room = replace(study_inputs, scenes=Scenes(rendered.frames, near, rendered.factors))
    assert write_viewer(room, SETTINGS, tmp_path / "viewer", seed=0, render=None) is None


def test_more_than_may_be_taken_is_refused(study_inputs: StudyInputs, tmp_path: Path):
    with pytest.raises(ValueError, match=r"take 0\.0 MB, more than viewer\.megabytes=0\.001: show fewer"):
        write_viewer(study_inputs, replace(SETTINGS, megabytes=0.001), tmp_path, seed=0, render=RENDER)


def test_settings_that_show_nothing_are_refused():
    with pytest.raises(ValueError, match=r"viewer\.samples must be at least 1, got 0"):
        replace(SETTINGS, samples=0)
