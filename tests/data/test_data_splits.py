"""No scene, and no known shape, is in two splits; a fraction reads no more than it must."""

from pathlib import Path
from typing import Any

import pytest
import torch
from data_modules import files, rendered, store

from gqn_probe.data import SceneDataModule
from gqn_probe.data.store.store_builder import build_store


@pytest.mark.slow
def test_no_shape_is_in_two_splits(tmp_path: Path) -> None:
    data = rendered(tmp_path, train=150, val=60, test=128)
    shapes = {}
    for split in ("train", "val", "test"):
        factors = data.scenes(split).factors
        assert factors is not None
        shapes[split] = set(factors.mirror_class.tolist())
    assert {split: len(ids) for split, ids in shapes.items()} == {"train": 8, "val": 2, "test": 4}
    assert not shapes["train"] & shapes["test"] | shapes["train"] & shapes["val"] | shapes["val"] & shapes["test"]
    stated = data.provenance()["splits"]
    assert {split: set(stated[split]["shapes"]) for split in stated} == shapes
    assert {split: stated[split]["scenes"] for split in stated} == {"train": 150, "val": 60, "test": 128}


@pytest.mark.slow
def test_a_rendered_split_is_made_without_the_others(tmp_path: Path) -> None:
    data = rendered(tmp_path)
    expected = data.fingerprint("test")
    assert {path.name.split("-")[0] for path in tmp_path.rglob("*.safetensors")} == {"test"}
    data.setup()
    assert {path.name.split("-")[0] for path in tmp_path.rglob("*.safetensors")} == {"train", "val", "test"}
    assert data.fingerprint("test") == expected
    assert len(data.split("train")) == 70


@pytest.mark.slow
def test_a_published_split_is_converted_without_the_others(fixtures: Path, tmp_path: Path) -> None:
    def converted(data: SceneDataModule) -> set[str]:
        return {path.stem for path in data.folder.glob("*.safetensors")}

    test, val = (files(fixtures / "tfrecords", tmp_path / split) for split in ("test", "val"))
    found = test.fingerprint("test")
    assert converted(test) == {"test-001-of-100"}
    assert len(val.split("val")) >= 1
    assert converted(val) == {"train-001-of-900", "train-002-of-900"}
    whole = files(fixtures / "tfrecords", tmp_path / "whole").provenance()
    assert list(whole["splits"]) == ["train", "val", "test"]
    assert whole["splits"]["test"]["fingerprint"] == found
    assert test.provenance() == val.provenance() == whole
    assert list(test.provenance()["splits"]) == list(whole["splits"])


@pytest.mark.slow
def test_a_fraction_reads_only_its_pieces(fixtures: Path, tmp_path: Path) -> None:
    root = fixtures / "tfrecords/shepard_metzler_5_parts"
    half, whole = files(root, tmp_path, fraction=0.45), files(root, tmp_path)
    assert len(half.scenes("train")) + len(half.scenes("val")) == 4
    assert len(list(tmp_path.rglob("train-*.safetensors"))) == 1
    assert len(whole.scenes("train")) + len(whole.scenes("val")) == 8
    assert len(half.scenes("test")) == len(whole.scenes("test")) == 4
    with pytest.raises(ValueError, match=r"fraction=1\.5 is not in 0\.\.1"):
        files(root, tmp_path, fraction=1.5).setup()


@pytest.mark.slow
def test_a_fraction_is_of_scenes_however_unequal_files_are(
    make: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = make.scene(views=1)
    for number, count in enumerate((2, 2, 60, 36)):
        make.file(tmp_path / f"cubes/train/{number}.tfrecord", make.records(*[scene] * count))
        make.file(tmp_path / f"cubes/train/._{number}.tfrecord", b"a companion that macOS leaves")
    make.file(tmp_path / "cubes/test/0.tfrecord", make.records(*[scene] * 3))
    with caplog.at_level("INFO"):
        half = files(tmp_path / "cubes", tmp_path, name="cubes", fraction=0.5)
        assert len(half.split("train")) + len(half.split("val")) == 50
    assert "training on 50 of about 100 scenes" in caplog.text
    assert len(half.split("test")) == 3
    assert {path.name for path in half.folder.glob("train-*")} == {f"train-{number}.safetensors" for number in range(3)}
    again = store(half.folder, fraction=0.25)
    assert len(again.split("train")) + len(again.split("val")) == 16
    part = rendered(tmp_path / "cache", train=100, fraction=0.3)
    assert len(part.split("train")) == 30


@pytest.mark.parametrize("kind", ["deepmind", "converted"])
def test_a_test_split_alone_can_be_studied(fixtures: Path, tmp_path: Path, kind: str) -> None:
    folder = {"deepmind": "tfrecords", "converted": "converted"}[kind] + "/shepard_metzler_5_parts/test"
    (tmp_path / "cubes").mkdir()
    (tmp_path / "cubes/test").symlink_to(fixtures / folder)
    data = files(tmp_path / "cubes", tmp_path, kind=kind, frames="raw")
    assert len(data.scenes("test")) == 4
    assert list(data.provenance()["splits"]) == ["test"]
    assert data.provenance()["background"] is None
    with pytest.raises(ValueError, match=r"the split 'train' has no scenes"):
        data.train_dataloader()


def test_where_there_is_no_validation_split_training_scenes_are_held_out(fixtures: Path, tmp_path: Path) -> None:
    data = files(fixtures / "tfrecords", tmp_path)
    train, val = data.split("train").rows, data.split("val").rows
    assert sorted(train.tolist() + val.tolist()) == list(range(8))
    assert 1 <= len(val) < 4
    assert torch.equal(files(fixtures / "tfrecords", tmp_path, seed=5).split("val").rows, val)


@pytest.mark.slow
def test_what_is_held_out_depends_on_no_other_file(make: Any, tmp_path: Path) -> None:
    scene = make.scene(views=1)
    for number in range(20):
        make.file(tmp_path / f"cubes/train/{number:02d}.tfrecord", make.records(*[scene] * 20))
    whole, half = (files(tmp_path / "cubes", tmp_path, name="cubes", fraction=part) for part in (1.0, 0.5))
    held = whole.split("val").rows
    assert 10 <= len(held) <= 30
    assert len(held.div(20, rounding_mode="floor").unique()) > 5
    assert torch.equal(half.split("val").rows, held[held < 200])


def test_a_store_without_training_scenes_is_opened(tmp_path: Path) -> None:
    source = rendered(tmp_path / "cache", train=0, val=0).source
    build_store(source, tmp_path / "store", source.pieces())
    assert len(store(tmp_path / "store").scenes("test")) == 64


@pytest.mark.slow
def test_a_prepared_store_keeps_its_own_validation_split(tmp_path: Path) -> None:
    source = rendered(tmp_path / "cache").source
    build_store(source, tmp_path / "store", source.pieces())
    data = store(tmp_path / "store")
    assert {split: len(data.scenes(split)) for split in ("train", "val", "test")} == {
        "train": 128,
        "val": 64,
        "test": 64,
    }


@pytest.mark.slow
def test_shapes_that_are_known_are_held_out_whole(tmp_path: Path) -> None:
    source = rendered(tmp_path / "cache", train=512, val=0, test=0).source
    build_store(source, tmp_path / "store", source.pieces())
    data = store(tmp_path / "store")
    shapes = [set(part["shapes"]) for part in data.provenance()["splits"].values()]
    assert len(shapes) == 3
    assert sum(map(len, shapes)) == len(set.union(*shapes)) == 8


def test_a_source_without_a_scene_has_no_split(tmp_path: Path) -> None:
    data = rendered(tmp_path, train=0, val=0, test=0)
    for split in ("test", "all"):
        with pytest.raises(ValueError, match=f"the split '{split}' has no scenes"):
            data.split(split)
