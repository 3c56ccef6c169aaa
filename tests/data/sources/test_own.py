"""Your own images and cameras as a source of scenes."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from data_modules import own
from PIL import Image

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
    lens = {"kind": "perspective", "scale": 0.5, "centre": [1, 0, 0], "radius": 2, "box": None}
    data = own(folder(tmp_path / "mine", TABLE), tmp_path / "cache", lens=lens)
    assert {split: len(data.scenes(split)) for split in ("train", "val", "test")} == {"train": 3, "val": 1, "test": 1}
    assert data.lens == Lens("perspective", 0.5, (1, 0, 0), 2)
    assert data.background[0] * 255 == pytest.approx(20 * len("cup0.png"))
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
        (Image.new("RGBA", (8, 8), (255, 0, 0, 128)), "is transparent in places: set data.background"),
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
    with pytest.raises(ValueError, match="the rows of scene cup are not consecutive or in several splits"):
        OwnScenes(str(root), None, LENS).pieces()


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("scene,image,x,y,z,yaw\n", "cameras.csv has no column pitch: its first line must be scene,image"),
        (HEAD, "cameras.csv has no rows"),
        (
            HEAD + "a,a.png,1,2,3,4,1,\na,b.png,1,2,3,4,1,\nb,c.png,1,2,3,4,1,\n",
            r"all scenes must have equally many images, but scene b has 1, a has 2 \(IMG_7.png is not listed\): add or",
        ),
        (HEAD + "a,a.png,1,2,3,4,five,\n", "line 2: pitch is five: give a finite number"),
        (HEAD + "a,a.png,1,2,3,4,nan,\n", "line 2: pitch is nan: give a finite number"),
        (HEAD + "a,a.png,1,2,3,4,1,dev\n", "line 2: split 'dev' of scene a is not train, val or test"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, table: str, reason: str) -> None:
    Image.new("RGB", (8, 8)).save(folder(tmp_path / "mine", table) / "IMG_7.png")
    with pytest.raises(ValueError, match=reason):
        OwnScenes(str(folder(tmp_path / "mine", table)), None, LENS).pieces()


def test_wrong_images_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "mine", TABLE)
    source = OwnScenes(str(root), None, LENS)
    (root / "pen1.png").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"scene pen: .*pen1\.png is no readable image"):
        source.read(source.pieces()[0])
    (root / "pen1.png").rename(root / "Pen1.PNG")
    with pytest.raises(ValueError, match=r"scene pen: there is no image pen1\.png; did you mean Pen1\.PNG\? add"):
        OwnScenes(str(root), None, LENS).pieces()
    folder(root, TABLE)
    for view in range(3):
        Image.new("RGB", (16, 16)).save(root / f"pen{view}.png")
    with pytest.raises(ValueError, match=r"scene pen: images of different sizes .* set data\.size"):
        source.read(source.pieces()[0])
    Image.new("RGB", (8, 8)).save(root / "pen1.png")
    with pytest.raises(ValueError, match=r"scene pen: images of different sizes"):
        source.read(source.pieces()[0])


@pytest.mark.parametrize("spelling", ["./{}", "sub/../{}", ".//{}", "{root}/{}", ".\\{}"])
def test_a_changed_image_is_noticed_however_its_path_is_spelled(tmp_path: Path, spelling: str) -> None:
    root = folder(tmp_path / "mine", TABLE)
    table = TABLE.replace("cup0.png", spelling.format("cup0.png", root=root))
    (root / "cameras.csv").write_text(table)
    before = OwnScenes(str(root), None, LENS).identity()
    Image.new("RGB", (8, 8), "red").save(root / "cup0.png")
    source = OwnScenes(str(root), None, LENS)
    assert source.identity() != before
    assert source.read(source.pieces()[0]).frames[0, 0, :, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_changed_image_is_noticed_behind_a_link(tmp_path: Path, linked: str) -> None:
    far = folder(tmp_path / "far", TABLE)
    mine = tmp_path / "mine"
    mine.mkdir()
    if linked == "folder":
        (mine / "sub").symlink_to(far)
    else:
        (mine / "sub").mkdir()
        for image in far.glob("*.png"):
            (mine / "sub" / image.name).symlink_to(image)
    (mine / "cameras.csv").write_text(re.sub(r",(\w+\.png)", r",sub/\1", TABLE))
    before = OwnScenes(str(mine), None, LENS).identity()
    Image.new("RGB", (8, 8), "red").save(far / "cup1.png")
    assert OwnScenes(str(mine), None, LENS).identity() != before


@pytest.mark.parametrize("path", ["../cup0.png", "/etc/passwd", "sub/../../cup0.png", "C:\\cup0.png"])
def test_paths_stay_inside_the_folder(tmp_path: Path, path: str) -> None:
    root = folder(tmp_path / "mine", TABLE)
    (root / "cameras.csv").write_text(TABLE.replace("cup0.png", path))
    with pytest.raises(ValueError, match=r"cameras.csv: .* lies outside of .*: give paths relative to it"):
        OwnScenes(str(root), None, LENS).pieces()


def test_a_scene_has_the_name_of_the_table(tmp_path: Path) -> None:
    source = OwnScenes(str(folder(tmp_path, TABLE)), None, LENS)
    assert source.read(source.pieces()[0]).names == ("cup", "pen", "book", "key")


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"size": 0}, "data.size=0 is no number of pixels"),
        ({"angles": "grad"}, "data.angles=grad is not known: use radians or degrees"),
        ({"crop": "left"}, "data.crop=left is not known: use center or resize"),
        ({"up": "w"}, "data.up=w is not known"),
        ({"background": "whiter"}, "data.background=whiter is not a colour"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(setting: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        OwnScenes(**{"root": "mine", "size": None, "lens": LENS} | setting)


def test_cameras_may_lie_beside_the_images_of_each_scene(tmp_path: Path) -> None:
    for split, shade in (("train", 10), ("train", 20), ("test", 30)):
        scene = tmp_path / split / f"scene{shade}"
        (scene / "images").mkdir(parents=True)
        frames = []
        for view in range(2):
            Image.new("RGB", (16, 8), (shade, view, 0)).save(scene / f"images/{view}.png")
            matrix = [[1, 0, 0, view], [0, 0, -1, -3.0], [0, 1, 0, 0], [0, 0, 0, 1]]
            frames.append({"file_path": f"./images/{view}", "transform_matrix": matrix})
        (scene / "transforms.json").write_text(json.dumps({"camera_angle_x": 1.0, "frames": frames}))
    source = OwnScenes(str(tmp_path), None, LENS)
    assert [piece.split for piece in source.pieces()] == ["train", "test"]
    train = source.read(source.pieces()[0])
    assert train.names == ("train/scene10", "train/scene20")
    assert train.frames.shape == (2, 2, 3, 8, 8)
    assert train.frames[:, 1, :2, 0, 0].tolist() == [[10, 1], [20, 1]]
    expected = torch.tensor([[0, -3.0, 0, torch.pi / 2, 0], [1, -3.0, 0, torch.pi / 2, 0]])
    torch.testing.assert_close(train.cameras[0], expected)
    assert source.find_lens().scale == pytest.approx(math.tan(0.5) / 2)  # of the square in the middle
    assert OwnScenes(str(tmp_path), None, LENS, crop="resize").find_lens().scale == pytest.approx(math.tan(0.5))
    given = OwnScenes(str(tmp_path), None, Lens("perspective", 0.7))
    assert given.find_lens().scale == 0.7


def test_a_file_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file is no folder, or an empty one"):
        OwnScenes(str(tmp_path / "file"), None, LENS).pieces()
