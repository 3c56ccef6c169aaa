"""The command that draws a scene from any camera: its pictures, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scripts import call, read_table
from tiny import SIZE, tiny_module

from gqn_probe.data import encode_cameras, render_scenes
from gqn_probe.model import load_gqn, save_weights
from gqn_probe.types import to_unit

SCRIPT = "src/gqn_probe/render.py"
TINY = ["data.size=16", "data.views=5", "data.train=0", "data.val=0", "data.test=4", "data.cache=cache", "positions=4"]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    save_weights(tiny_module().gqn, tmp_path / "weights.safetensors", {})
    return "checkpoint=weights.safetensors"


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.slow
def test_pictures_are_those_of_the_scene_the_cameras_and_the_images(weights: str, tmp_path: Path):
    run = tmp_path / "run"
    done = call(SCRIPT, weights, *TINY, "scene=2", "context=[1,3]", "samples=2", f"hydra.run.dir={run}")
    assert done.code == 0, done.error
    assert str(run) in done.output
    columns = ["truth", "from_1_image", "from_1_image_spread", "from_3_images", "from_3_images_spread"]
    assert sorted(path.name for path in run.iterdir() if path.is_dir()) == sorted([".hydra", *columns])
    assert {len(list((run / name).iterdir())) for name in columns} == {4}
    path = torch.tensor(
        [[float(row[name]) for name in ("x", "y", "z", "yaw", "pitch")] for row in read_table(run / "cameras.csv")]
    )
    scenes = render_scenes(4, views=5, size=16, stream="test", split="test")
    gqn = load_gqn("weights.safetensors")
    with torch.no_grad():
        r = gqn.aggregate(gqn.encode(to_unit(scenes.frames[2:3, :3]), encode_cameras(scenes.cameras[2:3, :3])))
        torch.manual_seed(0)
        drawn = gqn.sample_from(r, encode_cameras(path[1:2]), size=(SIZE, SIZE), samples=2).clamp(0, 1).mean(dim=0)
    expected = drawn.mul(255).permute(1, 2, 0).numpy()
    assert np.abs(picture(run / "from_3_images" / "001.png") - expected).max() <= 1
    with Image.open(run / "film.webp") as film:
        assert film.n_frames == 4  # pyright: ignore[reportAttributeAccessIssue]
    assert picture(run / "contact_sheet.png").shape[0] > 5 * 3 * SIZE

    # the same cameras again, as a table, show the same
    again = tmp_path / "again"
    done = call(SCRIPT, weights, *TINY, "scene=2", "context=3", "samples=2", f"cameras={run}/cameras.csv", "film=null",
                f"hydra.run.dir={again}")  # fmt: skip
    assert done.code == 0, done.error
    assert (picture(again / "truth" / "002.png") == picture(run / "truth" / "002.png")).all()
    assert not (again / "film.webp").exists()


@pytest.mark.slow
def test_a_folder_of_images_with_cameras_needs_no_splits(weights: str, tmp_path: Path):
    scenes, folder = render_scenes(1, views=5, size=16), tmp_path / "my own"
    folder.mkdir()
    rows = ["scene,image,x,y,z,yaw,pitch"]
    for view, (frame, camera) in enumerate(zip(scenes.frames[0], scenes.cameras[0], strict=True)):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / f"{view}.png")
        rows.append(",".join(["cubes", f"{view}.png", *(f"{number:.6f}" for number in camera.tolist())]))
    (folder / "cameras.csv").write_text("\n".join(rows))
    own = [weights, f"images={folder}", "data.cache=cache", "positions=3", f"hydra.run.dir={tmp_path / 'run'}"]
    done = call(SCRIPT, *own, "scene=cubes", "film=gif")
    assert done.code == 0, done.error
    shown = picture(tmp_path / "run" / "nearest_image" / "000.png")
    assert min(np.abs(shown - frame.permute(1, 2, 0).numpy()).max() for frame in scenes.frames[0]) == 0
    assert (
        call(SCRIPT, *own, "scene=1").error == f"error: scene=1 is not there: images={folder} has the scenes 0 to 0\n"
    )
    far = tmp_path / "far.csv"
    far.write_text("x,y,z,yaw,pitch\n9,0,0,3.14159,0\n")
    assert "camera 0 has distance 9, outside of the 3 to 3" in call(SCRIPT, *own, f"cameras={far}").error


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("positions=0", "positions=0 must be a whole number, 1 or more"),
        ("split=all", "split=all is not known: use train, val or test"),
        ("film=avi", "film=avi is not known: use webp, gif or mp4"),
        ("orbits=azimuth", "there is no setting 'orbits'; did you mean orbit? `python -m gqn_probe.render --help`"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(argument: str, message: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call(SCRIPT, argument)
    assert done.code == 1
    assert done.error.startswith(f"error: {message}")
    assert done.error.count("\n") == 1
