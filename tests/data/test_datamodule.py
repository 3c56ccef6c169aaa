"""Scenes, batches and fingerprints of every source."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from data_modules import files, rendered, store

from gqn_probe.data import SceneDataModule, encode_cameras, render_scenes
from gqn_probe.data.store.store_builder import build_store
from gqn_probe.types import SPLITS, Lens, Split


@pytest.mark.slow
def test_scenes_are_those_of_the_renderer_and_of_every_later_run(tmp_path: Path) -> None:
    scenes = rendered(tmp_path).scenes("test", limit=7)
    expected = render_scenes(7, views=3, size=8, stream="test", split="test")
    assert torch.equal(scenes.frames, expected.frames)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert torch.equal(rendered(tmp_path).scenes("test").frames[:7], expected.frames)
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    by_scene = rendered(tmp_path, split_by="scene")
    assert not torch.equal(by_scene.scenes("train").cameras[:10], by_scene.scenes("test").cameras[:10])


@pytest.mark.parametrize("change", [{"batch_size": 0}, {"num_workers": -1}])
def test_numbers_that_cannot_be_meant_are_refused(tmp_path: Path, change: dict[str, int]) -> None:
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=f"data.{name}={value} must be"):
        rendered(tmp_path, **change)


@pytest.mark.slow
def test_fingerprints_follow_the_content(shared: Path, tmp_path: Path) -> None:
    first = rendered(shared)
    assert first.fingerprint("train") == rendered(tmp_path).fingerprint("train")
    others = [rendered(shared, seed=1), rendered(shared, train=69), rendered(shared, background="gradient")]
    assert len({data.fingerprint("train") for data in [first, *others]}) == 4
    assert first.fingerprint("test") != first.fingerprint("train")


@pytest.mark.slow
def test_all_splits_can_be_studied_together(shared: Path) -> None:
    data = rendered(shared)
    every = data.split("all")
    assert torch.equal(every[:].frames, torch.cat([data.split(split)[:].frames for split in SPLITS]))
    assert every.names == tuple(name for split in SPLITS for name in data.split(split).names)
    assert data.fingerprint("all") not in {data.fingerprint(split) for split in SPLITS}


def test_batches_are_whole_scenes_with_encoded_cameras(shared: Path) -> None:
    data = rendered(shared, camera_order="sin_cos")
    batches = list(data.train_dataloader())
    assert [len(batch.frames) for batch in batches] == [8] * 8
    stored = data.scenes("train")
    for batch in batches:
        assert torch.equal(batch.frames, stored.frames[batch.scenes])
        assert torch.equal(batch.cameras, encode_cameras(stored.cameras[batch.scenes], order="sin_cos"))
    assert torch.cat([batch.scenes for batch in data.val_dataloader()]).tolist() == list(range(10))
    assert stored.views == 3


@pytest.mark.slow
def test_reading_a_store_never_changes_it(tmp_path: Path) -> None:
    source = rendered(tmp_path / "cache").source
    index = build_store(source, tmp_path, source.pieces())
    (tmp_path / index.shards[0].file).unlink()
    before = (tmp_path / "index.json").read_bytes()
    data = store(tmp_path)
    data.prepare_data()
    with pytest.raises(ValueError, match=r"it is missing.*prepare the store again"):
        data.provenance()
    assert (tmp_path / "index.json").read_bytes() == before


@pytest.mark.slow
def test_every_source_of_the_same_scenes_gives_the_same(fixtures: Path, tmp_path: Path) -> None:
    jpeg = files(fixtures / "tfrecords", tmp_path)
    jpeg.prepare_data()
    raw = files(fixtures / "tfrecords", tmp_path, frames="raw")
    port = files(fixtures / "converted", tmp_path, kind="converted", frames="raw")
    same: dict[Split, list[SceneDataModule]] = {
        "train": [raw, store(jpeg.folder)],
        "test": [raw, store(jpeg.folder), port],
    }
    for split, sources in same.items():
        expected = jpeg.scenes(split)
        for data in sources:
            assert torch.equal(data.scenes(split).frames, expected.frames)
            assert torch.equal(data.scenes(split).cameras, expected.cameras)
    assert store(jpeg.folder).fingerprint("train") == jpeg.fingerprint("train")


@pytest.mark.slow
@pytest.mark.parametrize("frames", ["jpeg", "raw"])
def test_a_store_is_resized_as_it_is_read(fixtures: Path, tmp_path: Path, frames: str) -> None:
    small = files(fixtures / "tfrecords", tmp_path, frames=None, size=32)
    large = files(fixtures / "tfrecords", tmp_path, frames=frames)
    large.prepare_data()
    data = store(large.folder, size=32)
    assert next(iter(data.train_dataloader())).frames.shape[-2:] == (32, 32)
    assert torch.equal(data.scenes("train").frames, small.scenes("train").frames)
    assert data.fingerprint("train") != large.fingerprint("train")


def test_what_cannot_be_is_refused_in_one_line(fixtures: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data.root=/nowhere has no shepard_metzler_5_parts/train/.* or .*: give"):
        files(Path("/nowhere"), tmp_path).setup()
    with pytest.raises(ValueError, match=r"data\.camera_order=degrees is not known: use cos_sin or sin_cos"):
        rendered(tmp_path, camera_order="degrees")
    with pytest.raises(ValueError, match=r"data\.views=0 is too small: the least is 1"):
        rendered(tmp_path, views=0)
    with pytest.raises(ValueError, match=r"data\.fraction=0\.5 means nothing where scenes are new: set data\.train"):
        rendered(tmp_path, online=True, fraction=0.5)
    with pytest.raises(ValueError, match=r"data\.frames=png is not known: use raw or jpeg"):
        files(fixtures / "tfrecords", tmp_path, frames="png")
    with pytest.raises(ValueError, match=r"converted files hold no JPEG, use data\.frames=raw"):
        files(fixtures / "converted", tmp_path, kind="converted")
    with pytest.raises(ValueError, match=r"the split 'test' has no scenes; \S*tfrecords has those of train$"):
        files(fixtures / "tfrecords", tmp_path, name="jaco").scenes("test")
    with pytest.raises(ValueError, match="is not a store"):
        store(tmp_path).setup()


def test_online_scenes_are_those_that_would_be_stored(shared: Path, tmp_path: Path) -> None:
    online, stored = rendered(shared, online=True), rendered(shared)
    assert torch.equal(online.scenes("train", limit=5).frames, stored.scenes("train", limit=5).frames)
    empty = next(iter(online.train_dataloader()))
    assert empty.frames.shape == (8, 0, 3, 8, 8)
    batch = online.on_after_batch_transfer(empty, 0)
    assert torch.equal(batch.frames, stored.scenes("train").frames[batch.scenes])
    assert torch.equal(batch.cameras, encode_cameras(stored.scenes("train").cameras[batch.scenes]))
    new = rendered(tmp_path, online=True)
    assert not list(new.folder.glob("train-*"))
    assert online.fingerprint("train") == new.fingerprint("train")
    assert {batch.frames.shape[1] for batch in online.val_dataloader()} == {3}


@pytest.mark.slow
def test_the_lens_and_the_cubes_are_what_a_store_is_known_by(tmp_path: Path) -> None:
    lens = {"kind": "perspective", "scale": 0.35}
    one, many, near = rendered(tmp_path), rendered(tmp_path, parts=[4, 6]), rendered(tmp_path, lens=lens)
    assert len({data.folder for data in (one, many, near)}) == 3
    assert rendered(tmp_path, parts=[5]).folder == one.folder
    assert near.lens == Lens("perspective", 0.35)
    fewer = many.scenes("val").factors
    assert fewer is not None
    assert set(fewer.parts.tolist()) == {4, 6}
    assert fewer.positions.isnan().any(dim=-1).sum(dim=1).tolist() == (6 - fewer.parts).tolist()
    stored = near.scenes("val", limit=2).frames
    expected = render_scenes(2, views=3, size=8, stream="val", split="val", lens=near.lens).frames
    assert torch.equal(stored, expected)
    again = store(near.folder)
    assert again.lens == near.lens
    assert store(near.folder, lens={"kind": "orthographic", "scale": 2}).lens == Lens("orthographic", 2)


def test_published_datasets_have_a_lens_of_unknown_scale(fixtures: Path, tmp_path: Path) -> None:
    cubes = files(fixtures / "tfrecords", tmp_path)
    room = files(fixtures / "tfrecords", tmp_path, name="rooms_ring_camera")
    assert cubes.lens.kind == room.lens.kind == "perspective"
    assert cubes.lens.scale is room.lens.scale is None
    assert cubes.lens.box is None
    assert room.lens.box is not None
    assert files(fixtures / "tfrecords", tmp_path, lens={"kind": "perspective", "scale": 0.4}).lens.scale == 0.4


@pytest.mark.slow
@pytest.mark.parametrize("online", [False, True])
def test_the_background_is_measured(shared: Path, online: bool) -> None:
    data = rendered(shared, online=online, parts=[4, 8], size=16)
    assert data.background == (212 / 255,) * 3
    stated = data.provenance()
    assert stated["background"] == list(data.background)
    assert stated["lens"]["kind"] == "orthographic"


def test_online_scenes_may_have_different_numbers_of_cubes(shared: Path) -> None:
    data = rendered(shared, online=True, parts=[4, 8], train=16)
    batch = next(iter(data.train_dataloader()))
    frames = data.on_after_batch_transfer(batch, 0).frames
    expected = render_scenes(8, views=3, parts=[4, 8], size=8, stream="train", split="train").frames
    assert torch.equal(frames, expected)


@pytest.mark.parametrize(
    ("lens", "message"),
    [
        ({"kind": "fisheye", "scale": 1}, "lens.kind=fisheye is not known"),
        ({"kind": "perspective", "scale": None}, "data.lens.scale=null cannot render"),
        ({"scale": 1}, "lens.kind=None is not known"),
        ({"kind": "perspective", "scale": 1, "centre": None}, "lens.centre=None is not three numbers"),
        ({"kind": "perspective", "scale": 1, "centre": [0, 0, "x"]}, r"lens.centre=\(0, 0, 'x'\) is not a position"),
        ({"kind": "perspective", "scale": "wide"}, "lens.scale=wide is not a length"),
        ({"kind": "perspective", "scale": 1, "radius": None}, "lens.radius=None is not a length"),
        ({"kind": "perspective", "scale": 1, "width": 2}, "no setting of a lens width; there are kind, scale"),
        ({"kind": "perspective", "scale": 1, "box": [1, 2]}, r"lens.box=\[1, 2\] is not three numbers"),
    ],
)
def test_a_lens_that_cannot_be_meant_is_refused(tmp_path: Path, lens: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rendered(tmp_path, lens=lens)


def flipped(path: Path) -> bytes:
    content = path.read_bytes()
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flipped, lambda path: path.read_bytes()[:-9]], ids=["flipped", "cut"])
def test_a_damaged_shard_of_the_cache_is_made_again_with_a_warning(
    tmp_path: Path, damage: Callable[[Path], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    expected = rendered(tmp_path).scenes("train")
    (path,) = tmp_path.rglob("train-00001.safetensors")
    path.write_bytes(damage(path))
    assert torch.equal(rendered(tmp_path).scenes("train").frames, expected.frames)
    assert caplog.messages == [f"{path} is damaged, and is made again"]


@pytest.mark.slow
def test_a_damaged_index_of_the_cache_is_made_again_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = rendered(tmp_path)
    expected = data.scenes("test"), data.fingerprint("test")
    (path,) = tmp_path.rglob("index.json")
    path.write_bytes(path.read_bytes()[:99])
    again = rendered(tmp_path)
    assert torch.equal(again.scenes("test").frames, expected[0].frames)
    assert again.fingerprint("test") == expected[1]
    assert caplog.messages == [f"{path} is damaged, and is made again"]
