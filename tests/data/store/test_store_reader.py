"""The store returns what was written, in any order, and detects damage."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import save_file

from gqn_probe.data import read_tfrecord, render_scenes
from gqn_probe.data.formats.deepmind import EncodedScenes, read_encoded
from gqn_probe.data.store import store_reader as stored_module
from gqn_probe.data.store.shard_file import checksum_of, write_shard
from gqn_probe.data.store.store_index import Index, Shard, read_index
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
    factors = stored.select(rows).factors
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
    assert torch.equal(stored.select(rows).cameras, expected)


def test_memory_is_returned_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = render_scenes(6, views=2, size=8)
    shards = [write_shard(tmp_path, "train", f"{i}", scenes[slice(i, i + 1)]) for i in range(6)]
    monkeypatch.setattr(stored_module, "READ_BYTES", 2 * scenes.frames[0].nbytes)
    monkeypatch.setattr(stored_module, "KEPT_BYTES", 2 * shards[0].bytes)
    stored = StoredScenes(tmp_path, shards)
    for row in [*range(6), 0, 5]:
        assert torch.equal(stored[torch.tensor([row])].frames[0], scenes.frames[row])
        assert len(stored._opened._touched) <= 2


def open_files(folder: Path) -> int:
    """How many files of a folder this process has open."""
    return sum(path.resolve().parent == folder for path in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
def test_few_shards_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = render_scenes(6, views=2, size=8)
    shards = [write_shard(tmp_path, "train", f"{i}", scenes[slice(i, i + 1)]) for i in range(6)]
    monkeypatch.setattr(stored_module, "OPEN_SHARDS", 2)
    stored, rows = StoredScenes(tmp_path, shards), torch.tensor([5, 0, 3, 1, 2, 4, 5])
    for _ in range(2):
        assert torch.equal(stored[rows].frames, scenes.frames[rows])
        factors, expected = stored.select(rows).factors, scenes[rows].factors
        assert factors is not None
        assert expected is not None
        assert torch.equal(factors.positions, expected.positions)
        assert open_files(tmp_path.resolve()) == 2


def test_a_shard_of_another_length_is_named(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, "train", "0", render_scenes(2, views=1, size=8))
    path = tmp_path / shard.file
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(
        ValueError, match=rf"train-0.safetensors is damaged .it has {shard.bytes - 10} bytes .* {shard.bytes}"
    ):
        StoredScenes(tmp_path, [shard])[torch.tensor([0])]


def test_a_flipped_byte_is_noticed_before_anything_is_used(tmp_path: Path) -> None:
    scenes = render_scenes(3, views=1, size=8)
    shards = [write_shard(tmp_path, "train", f"{i}", scenes[slice(i, i + 1)]) for i in range(3)]
    path = tmp_path / shards[1].file
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    stored = StoredScenes(tmp_path, shards)
    assert torch.equal(stored[torch.tensor([0, 2])].frames, scenes.frames[[0, 2]])
    with pytest.raises(ValueError, match=r"train-1.safetensors is damaged .its checksum .*: delete it and prepare"):
        stored[:2]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"frames": torch.zeros(1, 2, 3, 8, 8)}, "column frames is float32"),
        ({"frames": torch.zeros(1, 2, 3, 8, 8, dtype=torch.float16)}, "column frames is of type F16"),
        (
            {"frames": torch.zeros(2, 2, 3, 8, 8, dtype=torch.uint8)},
            r"frames is uint8 \[2, 2, .*, not uint8 \[1, 2, 3, N",
        ),
        ({"cameras": torch.zeros(1, 2, 7)}, r"cameras is float32 \[1, 2, 7\], not float32 \[1, None, 5\]"),
        ({"cameras": torch.zeros(1, 1, 5)}, r"frames is uint8 \[1, 2, .*, not uint8 \[1, 1, "),
        ({"factors.shape": torch.zeros(1, dtype=torch.int64)}, "its factors are not one for each of 1 scenes"),
        ({"cameras": torch.tensor(1.0)}, r"cameras is float32 \[\], not"),
        ({"frames": None}, "it has no column jpeg"),
        ({"frames": None, "jpeg": torch.zeros(9, dtype=torch.uint8), "ends": torch.tensor([[5, 10]])}, "end to end"),
        ({"frames": None, "size": torch.tensor([60_000, 60_000])}, "would take 21,600,000,000 bytes"),
    ],
)
def test_a_shard_that_promises_something_else_is_refused(
    tmp_path: Path, columns: dict[str, torch.Tensor | None], reason: str
) -> None:
    content = {"cameras": torch.zeros(1, 2, 5), "frames": torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8)} | columns
    if "frames" in columns and columns["frames"] is None and len(columns) > 1:
        content = {
            "jpeg": torch.zeros(10, dtype=torch.uint8),
            "ends": torch.tensor([[5, 10]]),
            "size": torch.tensor([8, 8]),
        } | content
    path = tmp_path / "train-0.safetensors"
    save_file({name: column for name, column in content.items() if column is not None}, path)
    shard = Shard("train", "0", 1, path.stat().st_size, checksum_of(path))
    with pytest.raises(ValueError, match=f"train-0.safetensors is damaged .*{reason}"):
        StoredScenes(tmp_path, [shard])[:1]


def test_a_header_of_garbage_is_refused(tmp_path: Path) -> None:
    for number, content in enumerate(
        (b"", b"\xff" * 40, (10).to_bytes(8, "little") + b"[[[[[[[[[[", b"\2" + b"\0" * 7 + b"[]")
    ):
        path = tmp_path / f"train-{number}.safetensors"
        path.write_bytes(content)
        shard = Shard("train", str(number), 1, len(content), checksum_of(path))
        with pytest.raises(ValueError, match=rf"train-{number}.safetensors is damaged"):
            StoredScenes(tmp_path, [shard])[:1]


def test_names_travel_with_their_scenes(fixtures: Path, tmp_path: Path) -> None:
    path = fixtures / "tfrecords/shepard_metzler_5_parts/train/001-of-900.tfrecord"
    shards = [
        write_shard(tmp_path, "train", "0", read_tfrecord(path)),
        write_shard(tmp_path, "train", "1", replace(read_tfrecord(path), names=None)),
    ]
    stored = StoredScenes(tmp_path, shards)
    rows = torch.tensor([5, 1, 2])
    expected = ("train-1:1", "001-of-900.tfrecord:1", "001-of-900.tfrecord:2")
    assert stored[rows].names == stored.select(rows).names == expected
    assert stored[rows][1:].names == stored.select(rows).select(slice(1, None))[:].names == expected[1:]
    encoded = write_shard(tmp_path, "train", "2", read_encoded(path))
    assert StoredScenes(tmp_path, [encoded])[rows[1:]].names == expected[1:]
    with pytest.raises(ValueError, match="mixes shards with"):
        StoredScenes(tmp_path, [*shards, encoded])[:]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_shard_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(draft: Path, path: Path) -> None:
        assert draft.exists()
        raise failure

    monkeypatch.setattr(Path, "replace", fail)
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


OUTSIDE = '{"format": 1, "source": {}, "shards": [{"split": "train", "piece": "/../../x", "scenes": 1, '
OUTSIDE += '"bytes": 9, "crc32c": ""}]}'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is not a store: it has no index.json"),
        ('{"format": 99}', "has format 99, this version reads up to 1: update gqn-probe"),
        ('{"format": 1, "sha', "is damaged"),
        ("{}", "is damaged"),
        (OUTSIDE.replace("/../../x", "0").replace('"scenes": 1', '"scenes": -1'), "numbers that are no sizes"),
        (OUTSIDE.replace("/../../x", "0").replace('"scenes": 1', '"scenes": 1000000000'), "lists 1,000,000,000 scenes"),
        ('{"format": 1, "source": {}, "shards": [], "lens": 5}', "its source and lens must be dictionaries"),
        (OUTSIDE, r"train-/\.\./\.\./x\.safetensors is no shard of this folder"),
    ],
)
def test_folders_that_are_no_store(make: Any, tmp_path: Path, content: str | None, reason: str) -> None:
    if content is not None:
        make.file(tmp_path / "index.json", content.encode())
    with pytest.raises(ValueError, match=reason):
        read_index(tmp_path)
