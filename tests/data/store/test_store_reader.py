"""The store gives back what was put in, in any order, and notices what is wrong with it."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from gqn_probe.analysis.inputs.streamed import StreamedScenes
from gqn_probe.data import read_tfrecord, render_scenes
from gqn_probe.data.formats.deepmind import EncodedScenes, read_encoded
from gqn_probe.data.store import store
from gqn_probe.data.store import store_reader as stored_module
from gqn_probe.data.store.store import Index, read_index, write_shard
from gqn_probe.data.store.store_reader import StoredScenes
from gqn_probe.types import Scenes


def test_rows_of_several_shards_in_any_order(tmp_path: Path) -> None:
    scenes = render_scenes(10, views=2, size=8)
    shards = [write_shard(tmp_path, "train", f"{i}", scenes[slice(2 * i, 2 * i + 2)]) for i in range(5)]
    stored = StoredScenes(tmp_path, shards)
    rows = torch.tensor([7, 0, 9, 7, 2])
    found = stored[rows]
    assert len(stored) == 10
    assert torch.equal(found.frames, scenes.frames[rows])
    assert torch.equal(found.cameras, scenes.cameras[rows])
    assert found.factors is not None
    for name, column in vars(scenes[rows].factors).items():
        assert torch.equal(getattr(found.factors, name), column)
    factors = stored.factors(rows)
    assert factors is not None
    assert torch.equal(factors.shape, found.factors.shape)


def test_jpeg_shards_keep_the_bytes_of_the_source(fixtures: Path, tmp_path: Path) -> None:
    path = fixtures / "tfrecords/shepard_metzler_5_parts/train/001-of-900.tfrecord"
    encoded, scenes = read_encoded(path), read_tfrecord(path)
    shard = write_shard(tmp_path, "train", "1", encoded)
    rows = torch.tensor([3, 0, 2])
    found = StoredScenes(tmp_path, [shard])[rows]
    assert torch.equal(found.frames, scenes.frames[rows])
    assert torch.equal(found.cameras, scenes.cameras[rows])
    assert found.factors is None
    assert shard.bytes < scenes.frames.nbytes / 8


@pytest.mark.parametrize("read", [read_tfrecord, read_encoded])
def test_cameras_to_study_are_read_without_their_frames(
    fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Scenes | EncodedScenes]
) -> None:
    path = fixtures / "tfrecords/shepard_metzler_5_parts/train/001-of-900.tfrecord"
    stored = StoredScenes(tmp_path, [write_shard(tmp_path, "train", f"{i}", read(path)) for i in range(2)])
    rows = torch.tensor([6, 0, 2])
    expected = stored[rows].cameras
    monkeypatch.setattr(StoredScenes, "__getitem__", Mock(side_effect=AssertionError("frames were read")))
    assert torch.equal(StreamedScenes(stored, rows).cameras, expected)


def test_memory_is_returned_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = render_scenes(6, views=2, size=8)
    shards = [write_shard(tmp_path, "train", f"{i}", scenes[slice(i, i + 1)]) for i in range(6)]
    monkeypatch.setattr(stored_module, "READ_BYTES", 2 * scenes.frames[0].nbytes)
    monkeypatch.setattr(stored_module, "KEPT_BYTES", 2 * shards[0].bytes)
    stored = StoredScenes(tmp_path, shards)
    for row in [*range(6), 0, 5]:
        assert torch.equal(stored[torch.tensor([row])].frames[0], scenes.frames[row])
        assert len(stored._touched) <= 2


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
def test_few_shards_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = render_scenes(6, views=2, size=8)
    shards = [write_shard(tmp_path, "train", f"{i}", scenes[slice(i, i + 1)]) for i in range(6)]
    monkeypatch.setattr(stored_module, "OPEN_SHARDS", 2)
    stored, rows = StoredScenes(tmp_path, shards), torch.tensor([5, 0, 3, 1, 2, 4, 5])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        assert torch.equal(stored[rows].frames, scenes.frames[rows])
        factors, expected = stored.factors(rows), scenes[rows].factors
        assert factors is not None
        assert expected is not None
        assert torch.equal(factors.positions, expected.positions)
        assert len(os.listdir("/proc/self/fd")) == before + 2


def test_a_shard_of_another_length_is_named(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, "train", "0", render_scenes(2, views=1, size=8))
    path = tmp_path / shard.file
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=rf"train-0.safetensors has {shard.bytes - 10} bytes .* {shard.bytes}"):
        StoredScenes(tmp_path, [shard])[torch.tensor([0])]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_shard_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(columns: object, path: Path) -> None:
        path.write_bytes(b"half a shard")
        raise failure

    monkeypatch.setattr(store, "save_file", fail)
    with pytest.raises((ValueError, KeyboardInterrupt)) as caught:
        write_shard(tmp_path, "train", "0", render_scenes(1, views=1, size=8))
    assert list(tmp_path.iterdir()) == []
    if isinstance(failure, OSError):
        assert "cannot write" in str(caught.value)
        assert "No space left on device" in str(caught.value)


def test_the_index_survives_writing_and_reading(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, "val", "0", render_scenes(1, views=1, size=8))
    index = Index({"kind": "test"}, (replace(shard, unreadable=("record 3 is damaged",)),), ("no such file",))
    index.write(tmp_path)
    assert index.unreadable == ["no such file", "record 3 is damaged"]
    assert read_index(tmp_path) == index
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is not a store: it has no index.json"),
        ('{"format": 99}', "has format 99, this version reads up to 1: update gqn-probe"),
        ('{"format": 1, "sha', "is damaged"),
        ("{}", "is damaged"),
    ],
)
def test_folders_that_are_no_store(make: Any, tmp_path: Path, content: str | None, reason: str) -> None:
    if content is not None:
        make.file(tmp_path / "index.json", content.encode())
    with pytest.raises(ValueError, match=reason):
        read_index(tmp_path)
