"""The command that prepares a store, for every kind of source and over an unreliable network."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from data_modules import store as prepared_store
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from gqn_probe.data import read_tfrecord
from gqn_probe.data.formats import remote as files
from gqn_probe.data.prepare import choose_source, main, parse, read_config
from gqn_probe.data.sources.rendered import RenderedScenes
from gqn_probe.data.stimuli.scene_renderer import DEFAULT_LENS
from gqn_probe.data.store.store_index import read_index


def train_frames(store: Path) -> torch.Tensor:
    data = prepared_store(store, batch_size=2)
    return torch.cat([data.scenes("train").frames, data.scenes("val").frames])


@pytest.fixture
def expected(fixtures: Path) -> torch.Tensor:
    folder = fixtures / "tfrecords/shepard_metzler_5_parts/train"
    return torch.cat([read_tfrecord(path).frames for path in sorted(folder.iterdir())])


def same_scenes(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return sorted(frames.long().sum().item() for frames in found) == sorted(f.long().sum().item() for f in wanted)


@pytest.mark.parametrize("kind", ["tfrecords", "converted"])
@pytest.mark.parametrize("above", ["", "/shepard_metzler_5_parts"])
def test_published_data(fixtures: Path, tmp_path: Path, expected: torch.Tensor, kind: str, above: str) -> None:
    name = [] if above else ["name=shepard_metzler_5_parts"]
    assert main([f"source={fixtures}/{kind}{above}", f"out={tmp_path}", *name]) == 0
    assert same_scenes(train_frames(tmp_path), expected)
    assert main([f"out={tmp_path}", "--verify"]) == 0


def test_raw_and_resized(fixtures: Path, tmp_path: Path) -> None:
    source = f"source={fixtures}/tfrecords/rooms_free_camera_with_object_rotations"
    assert main([source, f"out={tmp_path / 'raw'}", "frames=raw"]) == 0
    assert main([source, f"out={tmp_path / 'small'}", "size=64"]) == 0
    assert train_frames(tmp_path / "raw").shape[-1] == 128
    assert train_frames(tmp_path / "small").shape[-1] == 64
    with pytest.raises(ValueError, match=r"frames=jpeg keeps the frames as they are"):
        main([source, f"out={tmp_path / 'other'}", "frames=jpeg", "size=64"])


@pytest.mark.slow
def test_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["source=shepard_metzler", "size=8", "views=2", "train=64", "val=64", "test=0", f"out={tmp_path}"]
    assert main(arguments) == 0
    assert "128 scenes in 2 shards" in capsys.readouterr().out
    assert {shard.split for shard in read_index(tmp_path).shards} == {"train", "val"}


def test_own_images(tmp_path: Path) -> None:
    rows = []
    (tmp_path / "mine").mkdir()
    for scene in "ab":
        Image.fromarray(np.full((8, 8, 3), ord(scene), np.uint8)).save(tmp_path / f"mine/{scene}.png")
        rows.append(f"{scene},{scene}.png,0,0,1,0,0")
    (tmp_path / "mine/cameras.csv").write_text("\n".join(["scene,image,x,y,z,yaw,pitch", *rows]))
    assert main([f"source={tmp_path}/mine", f"out={tmp_path}/store"]) == 0
    assert train_frames(tmp_path / "store")[:, 0, 0, 0, 0].tolist() == [97, 98]


def test_verification_fails_where_a_shard_is_damaged(
    fixtures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([f"source={fixtures}/tfrecords/shepard_metzler_5_parts", f"out={tmp_path}"])
    path = tmp_path / "train-001-of-900.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert main([f"out={tmp_path}", "--verify"]) == 1
    assert "train-001-of-900.safetensors is damaged: its checksum" in capsys.readouterr().out


@pytest.fixture
def remote(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryFileSystem]:
    """A bucket that holds the data set."""
    monkeypatch.setattr(files, "PAUSE", 0.0)
    system = fsspec.filesystem("memory")
    system.put(str(fixtures / "tfrecords/shepard_metzler_5_parts"), "/bucket/shepard_metzler_5_parts", recursive=True)
    yield system
    system.store.clear()


class Cut(io.BytesIO):
    """A connection that is lost during the transfer."""

    def read(self, size: int | None = -1) -> bytes:
        raise ConnectionResetError("connection reset")


class Breaking:
    """Breaks the first transfers of each file."""

    def __init__(self, system: MemoryFileSystem, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: dict[str, int] = {}
        self.times, self.open = times, system.open
        monkeypatch.setattr(MemoryFileSystem, "open", lambda _, path, *rest, **more: self(path, *rest, **more))

    def __call__(self, path: str, *rest: Any, **more: Any) -> Any:
        self.opened[path] = self.opened.get(path, 0) + 1
        return Cut() if self.opened[path] <= self.times else self.open(path, *rest, **more)


def test_a_broken_transfer_is_tried_again(
    remote: MemoryFileSystem, tmp_path: Path, expected: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Breaking(remote, 2, monkeypatch)
    assert main(["source=memory://bucket/shepard_metzler_5_parts", f"out={tmp_path}", "workers=0"]) == 0
    assert set(broken.opened.values()) == {3}
    assert same_scenes(train_frames(tmp_path), expected)


def test_a_transfer_that_stays_broken_is_named(
    remote: MemoryFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Breaking(remote, 99, monkeypatch)
    arguments = ["source=memory://bucket/shepard_metzler_5_parts", f"out={tmp_path}", "workers=1"]
    with pytest.raises(
        ValueError, match=r"memory://bucket/.*\.tfrecord could not be read in 4 attempts: connection reset"
    ):
        main(arguments)
    assert main([*arguments, "on_error=skip"]) == 1
    assert "of 3 files nothing could be read" in capsys.readouterr().out
    assert len(read_index(tmp_path).unreadable) == 3


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["out=x"], "source= is missing"),
        (["source=shepard_metzler"], "out= is missing"),
        (["source=nix://a", "out=x"], r"nix://a.* cannot be opened: Protocol not known: nix"),
        (["source=nowhere", "out=x"], r"source=nowhere holds no cameras\.csv, transforms\.json, train/\*\.tfrecord or"),
        (["sorce", "out=x"], "'sorce' is not understood: expected KEY=VALUE, or -h for help"),
        (["source=shepard_metzler", "out=x", "sise=8"], "sise=8 is not a setting of .*: did you mean size?"),
        (
            ["source=shepard_metzler", "out=x", "lens.width=8"],
            "lens.width=8 is not a setting of source=shepard_metzler",
        ),
        (["source=shepard_metzler", "out=x", "lens.kind=fisheye"], "lens.kind=fisheye is not known"),
        (
            ["source=shepard_metzler", "out=x", "batch_size=8"],
            "batch_size=8 is not a setting of source=shepard_metzler",
        ),
        (["source=shepard_metzler", "out=x", "size={"], "size={: '{' is not YAML"),
        (["source=shepard_metzler", "out=x", "workers=-1"], "workers=-1 is not a number of processes"),
        (["source=shepard_metzler", "out=x", "parts=two"], "parts=two is not a number"),
        (["source=shepard_metzler", "out=x", "split_by=color"], "split_by=color is not known: use shape or scene"),
        (["source=shepard_metzler", "out=x", "frames=raw"], "frames=raw is not a setting of source=shepard_metzler"),
        (["source=none", "out=x"], r"source=none holds no cameras\.csv"),
        (["source=.", "out=x", "train=2"], r"source=\. holds no cameras.csv"),
        (["source=shepard_metzler", "out=x", "fraction=0"], r"fraction=0 is not in 0\.\.1"),
        (["source=shepard_metzler", "out=x", "on_error=go"], "on_error=go is not known: use stop or skip"),
        (["--verify", "out=nowhere"], "nowhere is not a store"),
    ],
)
def test_wrong_arguments_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=reason):
        main(arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_colour_is_no_comment() -> None:
    assert parse(["background=#102030", "size=8"])[1] == {"background": "#102030", "size": 8}


def test_help_tells_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-h"]) == 0
    text = capsys.readouterr().out
    assert "parts: 5 # cubes an object" in text
    assert "camera_order" not in text
    assert all(f"\n{kind}: " in text for kind in ("shepard_metzler", "deepmind", "converted", "own"))


def test_defaults_are_those_of_training() -> None:
    source, fraction = choose_source("shepard_metzler_4_to_8", {"lens.scale": 0.5, "val": 3})
    config = read_config("shepard_metzler") | read_config("shepard_metzler_4_to_8")
    assert fraction == 1
    assert isinstance(source, RenderedScenes)
    assert source.parts == config["parts"] == [4, 5, 6, 7, 8]
    assert (source.size, source.train, source.val) == (config["size"], config["train"], 3)
    assert source.lens == DEFAULT_LENS._replace(scale=0.5)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str, **options: str) -> None:
        assert options == {"token": "anon"}
        raise ImportError("Please install gcsfs")

    monkeypatch.setattr(files, "url_to_fs", fail)
    with pytest.raises(ValueError, match=r"Please install gcsfs\): pip install 'gqn-probe\[cloud\]'"):
        main(["source=gs://gqn-dataset/jaco", "out=x"])
