"""People's own images and cameras."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gqn_probe.data import own
from gqn_probe.data.sources.own import OwnScenes
from gqn_probe.types import Lens

LENS = Lens("perspective", None)

HEAD = "scene,image,x,y,z,yaw,pitch,split\n"


def folder(path: Path, table: str, size: int = 8) -> Path:
    path.mkdir(exist_ok=True)
    (path / "cameras.csv").write_text(table)
    for row in table.splitlines()[1:]:
        name = row.split(",")[1]
        shade = np.full((size, size, 3), 20 * len(name), np.uint8)
        Image.fromarray(shade).save(path / name)
    return path


TABLE = HEAD + "".join(
    f"{scene},{scene}{view}.png,1,2,3,{view}.5,-0.25,{split}\n"
    for scene, split in (("cup", "train"), ("pen", "train"), ("lamp", "test"), ("book", ""), ("key", ""))
    for view in range(3)
)


def test_images_and_cameras_arrive(tmp_path: Path) -> None:
    data = own(
        root=str(folder(tmp_path / "mine", TABLE)),
        size=None,
        lens={"kind": "perspective", "scale": 0.5, "centre": [1, 0, 0], "radius": 2, "box": None},
        seed=0,
        batch_size=2,
        num_workers=0,
        camera_order="cos_sin",
        fraction=1.0,
        cache=str(tmp_path / "cache"),
    )
    assert {split: len(data.scenes(split)) for split in ("train", "val", "test")} == {"train": 3, "val": 1, "test": 1}
    assert data.lens == Lens("perspective", 0.5, (1, 0, 0), 2)
    assert data.background()[0] * 255 == pytest.approx(20 * len("cup0.png"))
    lamp = data.scenes("test")
    assert lamp.frames.shape == (1, 3, 3, 8, 8)
    assert (lamp.frames == 20 * len("lamp0.png")).all()
    expected = torch.tensor([[[1, 2, 3, view + 0.5, -0.25] for view in range(3)]])
    torch.testing.assert_close(lamp.cameras, expected)


def test_images_are_resized(tmp_path: Path) -> None:
    source = OwnScenes(str(folder(tmp_path / "mine", TABLE)), 4, LENS)
    assert source.read(source.pieces()[0]).frames.shape == (4, 3, 3, 4, 4)


def test_a_changed_image_makes_another_store(tmp_path: Path) -> None:
    root = folder(tmp_path, TABLE)
    before = OwnScenes(str(root), None, LENS).identity()
    assert OwnScenes(str(root), None, LENS).identity() == before
    Image.new("RGB", (8, 8), "red").save(root / "cup0.png")
    assert OwnScenes(str(root), None, LENS).identity() != before


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image.fromarray(np.full((8, 8), 40_000, np.uint16)), r"more than 8 bits a channel \(I;16\): convert it"),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 128)), "is transparent in places: flatten it"),
    ],
)
def test_images_that_have_no_certain_colour_are_refused(tmp_path: Path, image: Image.Image, reason: str) -> None:
    root = folder(tmp_path, TABLE)
    image.save(root / "cup0.png")
    source = OwnScenes(str(root), None, LENS)
    with pytest.raises(ValueError, match=rf"scene cup: .*cup0\.png .*{reason}"):
        source.read(source.pieces()[0])


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_scene_whose_rows_stand_apart_is_refused(tmp_path: Path, split: str) -> None:
    root = folder(tmp_path, TABLE + f"cup,cup9.png,1,2,3,0,0,{split}\n")
    with pytest.raises(ValueError, match="the rows of scene cup stand apart or in several splits"):
        OwnScenes(str(root), None, LENS).pieces()


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("scene,image,x,y,z,yaw\n", "cameras.csv has no column pitch: expected scene, image"),
        (HEAD, "cameras.csv has no rows"),
        (HEAD + "a,a.png,1,2,3,4,5,\na,b.png,1,2,3,4,5,\nb,c.png,1,2,3,4,5,\n", "different numbers of views"),
        (HEAD + "a,a.png,1,2,3,4,five,\n", "line 2: expected 5 camera numbers, got .*five"),
        (HEAD + "a,a.png,1,2,3,4,nan,\n", "line 2: a camera number is not finite"),
        (HEAD + "a,a.png,1,2,3,4,5,dev\n", "split 'dev' of scene a is not train, val or test"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, table: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        OwnScenes(str(folder(tmp_path / "mine", table)), None, LENS).pieces()


def test_wrong_images_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "mine", TABLE)
    source = OwnScenes(str(root), None, LENS)
    (root / "pen1.png").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"scene pen: .*pen1\.png is no readable image"):
        source.read(source.pieces()[0])
    (root / "pen1.png").unlink()
    with pytest.raises(ValueError, match=r"scene pen: .*pen1\.png does not exist"):
        source.read(source.pieces()[0])
    folder(root, TABLE)
    for view in range(3):
        Image.new("RGB", (16, 16)).save(root / f"pen{view}.png")
    with pytest.raises(ValueError, match=r"scene pen: images of different sizes .* set data\.size"):
        source.read(source.pieces()[0])
    Image.new("RGB", (8, 8)).save(root / "pen1.png")
    with pytest.raises(ValueError, match=r"scene pen: images of different sizes"):
        source.read(source.pieces()[0])


def test_a_table_as_spreadsheets_write_it(tmp_path: Path) -> None:
    mine = folder(tmp_path, TABLE)
    (mine / "cameras.csv").write_text(TABLE.replace(",", ", "), encoding="utf-8-sig")
    assert {split: len(scenes) for split, scenes in OwnScenes(str(mine), None, LENS)._scenes.items()} == {
        "train": 4,
        "val": 0,
        "test": 1,
    }


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "cameras.csv").write_bytes("scène".encode("latin-1"))
    with pytest.raises(ValueError, match=r"cameras\.csv is not UTF-8"):
        OwnScenes(str(tmp_path), None, LENS).pieces()


def test_a_file_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file/cameras\.csv does not exist"):
        OwnScenes(str(tmp_path / "file"), None, LENS).pieces()
