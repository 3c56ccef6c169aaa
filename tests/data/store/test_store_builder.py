"""Preparation is parallel and resumable, never mixes sources, and always leaves a valid store."""

import contextlib
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch

from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.data.sources.published import PublishedScenes
from gqn_probe.data.sources.rendered import Piece, RenderedScenes
from gqn_probe.data.stimuli.scene_renderer import DEFAULT_LENS
from gqn_probe.data.store import store_builder as build
from gqn_probe.data.store.store_builder import build_store, damaged_shards
from gqn_probe.data.store.store_index import read_index
from gqn_probe.data.store.store_reader import StoredScenes
from gqn_probe.types import Scenes

SMALL = RenderedScenes(2, 8, 2, 300, 0, 64, 0, "plain", "scene", DEFAULT_LENS)


class Counting(RenderedScenes):
    """Counts the pieces that are read, and fails at one."""

    reads: list[Piece]
    bad: Piece | None

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes:
        self.reads.append(piece)
        if piece == self.bad:
            raise ValueError("piece is bad")
        return super().read(piece, on_error)


def counting(bad: Piece | None = None) -> Counting:
    source = Counting(*vars(SMALL).values())
    object.__setattr__(source, "reads", [])
    object.__setattr__(source, "bad", bad)
    return source


@pytest.fixture(autouse=True)
def _index_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "INDEX_SECONDS", 0.0)


@pytest.mark.slow
def test_every_piece_arrives_whatever_the_workers(tmp_path: Path) -> None:
    pieces = SMALL.pieces()
    one, two = (build_store(SMALL, tmp_path / f"{n}", pieces, workers=n) for n in (0, 2))
    assert len(one.shards) == len(pieces) == 6
    assert {shard.crc32c for shard in one.shards} == {shard.crc32c for shard in two.shards}
    assert damaged_shards(tmp_path / "2") == []
    train = sorted((shard for shard in two.shards if shard.split == "train"), key=lambda shard: shard.piece)
    found = StoredScenes(tmp_path / "2", train)[torch.tensor([0, 130])]
    assert torch.equal(found.frames, SMALL.render(torch.tensor([0, 130]), "train").frames)


def test_random_numbers_do_not_depend_on_what_was_prepared(tmp_path: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build_store(SMALL, tmp_path, SMALL.pieces(), workers=2)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.slow
def test_only_what_lacks_is_read(tmp_path: Path) -> None:
    pieces = SMALL.pieces()
    build_store(SMALL, tmp_path, pieces[:3])
    source = counting()
    build_store(source, tmp_path, pieces, workers=0)
    assert sorted(source.reads) == sorted(pieces[3:])
    (tmp_path / read_index(tmp_path).shards[1].file).unlink()
    source = counting()
    index = build_store(source, tmp_path, pieces, workers=0)
    assert len(source.reads) == 1
    assert len(index.shards) == len(pieces)
    source = counting()
    build_store(source, tmp_path, pieces, workers=0)
    assert source.reads == []


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_error_keeps_what_was_written(tmp_path: Path, workers: int) -> None:
    pieces = SMALL.pieces()
    with pytest.raises(ValueError, match=r"^piece is bad$"):
        build_store(counting(pieces[3]), tmp_path, pieces, workers=workers)
    assert 1 <= len(read_index(tmp_path).shards) <= 5
    assert damaged_shards(tmp_path) == []
    assert len(build_store(SMALL, tmp_path, pieces).shards) == 6


@pytest.mark.slow
def test_a_piece_of_which_nothing_is_readable_is_listed_and_tried_again(tmp_path: Path) -> None:
    pieces = SMALL.pieces()
    index = build_store(counting(pieces[3]), tmp_path, pieces, skip_unreadable=True)
    assert index.unreadable == ["piece is bad"]
    assert len(index.shards) == 5
    assert build_store(SMALL, tmp_path, pieces, skip_unreadable=True).unreadable == []


def test_skipped_records_are_listed_with_file_and_offset(make: Any, tmp_path: Path) -> None:
    content = bytearray(make.records(make.scene(), make.scene(), make.scene()))
    content[len(content) // 2] ^= 1
    make.file(tmp_path / "cubes/train/1-of-1.tfrecord", bytes(content))
    source = PublishedScenes("deepmind", str(tmp_path / "cubes"), "cubes", None, "jpeg")
    with pytest.raises(ValueError, match="record 1 at byte"):
        build_store(source, tmp_path / "stop", source.pieces())
    index = build_store(source, tmp_path / "skip", source.pieces(), skip_unreadable=True)
    assert [shard.scenes for shard in index.shards] == [2]
    assert "1-of-1.tfrecord, record 1 at byte" in index.unreadable[0]
    assert read_index(tmp_path / "skip").unreadable == index.unreadable


def test_files_of_which_nothing_is_readable_keep_all_their_reasons(make: Any, tmp_path: Path) -> None:
    broken = make.records(make.scene(cameras=np.full(15, np.nan)), make.scene(cameras=np.full(15, np.inf)))
    make.file(tmp_path / "cubes/train/1-of-1.tfrecord", broken)
    source = PublishedScenes("deepmind", str(tmp_path / "cubes"), "cubes", None, "jpeg")
    index = build_store(source, tmp_path / "store", source.pieces(), skip_unreadable=True)
    assert index.shards == ()
    assert all(reason in index.failed[0] for reason in ("record 0 at byte", "record 1 at byte", "no readable scene"))


def test_files_of_other_sizes_are_refused(make: Any, tmp_path: Path) -> None:
    for name, size in (("1-of-2", 16), ("2-of-2", 32)):
        make.file(tmp_path / f"cubes/train/{name}.tfrecord", make.records(make.scene(make.jpegs(3, size))))
    source = PublishedScenes("deepmind", str(tmp_path / "cubes"), "cubes", None, "jpeg")
    with pytest.raises(ValueError, match=r"has scenes of 3 views of 16x16, .* of 3 views of 32x32: set a size for all"):
        build_store(source, tmp_path / "store", source.pieces(), workers=0)


@pytest.mark.slow
def test_a_shard_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    index = build_store(SMALL, tmp_path, SMALL.pieces())
    path = tmp_path / index.shards[2].file
    path.write_bytes(path.read_bytes()[:-5])
    build_store(SMALL, tmp_path, SMALL.pieces())
    assert damaged_shards(tmp_path) == []


class Killing(RenderedScenes):
    """Its reader is killed, as by a system that is out of memory."""

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_worker_that_is_killed_is_one_clear_error(tmp_path: Path) -> None:
    source = Killing(*vars(SMALL).values())
    with pytest.raises(ValueError, match=r"worker .* if memory was short, prepare it with fewer workers than 1"):
        build_store(source, tmp_path, source.pieces(), workers=1)


@pytest.mark.slow
def test_stores_are_built_within_the_processes_of_launchers_and_pools(tmp_path: Path) -> None:
    asked = {"source": SMALL, "pieces": SMALL.pieces(), "workers": 2}
    found = joblib.Parallel(2)([joblib.delayed(build_store)(folder=tmp_path / "joblib", **asked)])
    assert [len(index.shards) for index in found if index] == [6]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert len(pool.apply(build_store, kwds={"folder": tmp_path / "pool", **asked}).shards) == 6


def test_sources_are_not_mixed(tmp_path: Path) -> None:
    build_store(SMALL, tmp_path, SMALL.pieces())
    other = replace(SMALL, seed=1)
    with pytest.raises(ValueError, match=r"holds .*'seed': 0.* not .*'seed': 1.*: choose another folder"):
        build_store(other, tmp_path, other.pieces())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("flip", "its checksum is not the index's"),
        ("cut", "bytes where the index says"),
        ("empty", "has 0 bytes where the index says"),
        ("delete", "is missing"),
    ],
)
def test_verification_finds_damage(tmp_path: Path, damage: str, told: str) -> None:
    index = build_store(SMALL, tmp_path, SMALL.pieces())
    path = tmp_path / index.shards[2].file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes({"flip": content, "cut": content[:-1], "empty": b""}[damage])
    found = damaged_shards(tmp_path)
    assert len(found) == 1
    assert path.name in found[0]
    assert told in found[0]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot write in .*file/store: Not a directory"):
        build_store(SMALL, tmp_path / "file" / "store", SMALL.pieces())


COMMAND = [sys.executable, "-m", "gqn_probe.data.prepare", "source=shepard_metzler", "train=4000", "val=0", "test=0"]
SMALLER = ["size=32", "views=8", "split_by=scene"]


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_whole_shards(tmp_path: Path) -> None:
    command = [*COMMAND, *SMALLER, f"out={tmp_path}", "workers=2"]
    killed = []
    for seconds, kill in ((0.0, os.kill), (0.1, os.killpg), (0.2, os.kill)):  # without and with the workers
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        killed.append(process.pid)
        shards = len(list(tmp_path.glob("*.safetensors")))
        while len(list(tmp_path.glob("*.safetensors"))) < shards + 4 and process.poll() is None:
            time.sleep(0.05)
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            kill(process.pid, signal.SIGKILL)
        assert process.wait() in (-signal.SIGKILL, 0)  # a fast machine may have come to the end
        if (tmp_path / "index.json").exists():
            assert damaged_shards(tmp_path) == []
    for group in killed:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)  # workers that outlive their parent may still write
    (tmp_path / ".train-00001.1.draft.safetensors").touch()
    subprocess.run(command, check=True, capture_output=True)
    assert sum(shard.scenes for shard in read_index(tmp_path).shards) == 4032
    assert damaged_shards(tmp_path) == []
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    limit = 200_000  # bytes a file; a shard needs more

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = subprocess.run(
        [*COMMAND, f"out={tmp_path}"], preexec_fn=small_files, capture_output=True, text=True, check=False
    )
    assert process.returncode == 1
    assert "error: cannot write" in process.stderr
    assert "Traceback" not in process.stderr
    assert read_index(tmp_path).shards == ()
    assert not list(tmp_path.glob(".*"))
