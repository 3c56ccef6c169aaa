"""Splits that share no shape, the same batches for the same seed, and training that resumes where it stopped."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from gqn_probe.data import SceneDataModule, dataset_files, encode_cameras, prepared, render_scenes, shepard_metzler
from gqn_probe.data.stimuli.scene_renderer import LENS
from gqn_probe.data.store.store_builder import build_store
from gqn_probe.types import Batch, Lens, Split


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for tests that only read, so that what is the same is rendered once."""
    return tmp_path_factory.mktemp("cache")


def rendered(cache: Path, **changes: Any) -> SceneDataModule:
    settings = {"parts": 5, "size": 8, "views": 3, "train": 70, "val": 10, "test": 20, "background": "plain"}
    settings |= {"split_by": "shape", "online": False, "seed": 0, "batch_size": 8, "num_workers": 0}
    settings |= {"camera_order": "cos_sin", "fraction": 1.0, "cache": str(cache), "lens": LENS._asdict()}
    return shepard_metzler(**settings | changes)


def files(root: Path, cache: Path, **changes: Any) -> SceneDataModule:
    settings = {"kind": "deepmind", "root": str(root), "name": "shepard_metzler_5_parts", "size": None, "lens": None}
    settings |= {"frames": "jpeg", "seed": 0, "batch_size": 4, "num_workers": 0, "camera_order": "cos_sin"}
    return dataset_files(**settings | {"fraction": 1.0, "cache": str(cache)} | changes)


def store(root: Path, **changes: Any) -> SceneDataModule:
    settings = {"root": str(root), "size": None, "lens": None, "seed": 0, "batch_size": 4, "num_workers": 0}
    return prepared(**settings | {"camera_order": "cos_sin", "fraction": 1.0} | changes)


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


def test_a_rendered_split_is_made_without_the_others(tmp_path: Path) -> None:
    data = rendered(tmp_path)
    expected = data.fingerprint("test")
    assert {path.name.split("-")[0] for path in tmp_path.rglob("*.safetensors")} == {"test"}
    data.setup()
    assert {path.name.split("-")[0] for path in tmp_path.rglob("*.safetensors")} == {"train", "val", "test"}
    assert data.fingerprint("test") == expected
    assert len(data.split("train")) == 70


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


def test_fingerprints_follow_the_content(shared: Path, tmp_path: Path) -> None:
    first = rendered(shared)
    assert first.fingerprint("train") == rendered(tmp_path).fingerprint("train")
    others = [rendered(shared, seed=1), rendered(shared, train=69), rendered(shared, background="gradient")]
    assert len({data.fingerprint("train") for data in [first, *others]}) == 4
    assert first.fingerprint("test") != first.fingerprint("train")


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


def test_a_fraction_reads_only_its_pieces(fixtures: Path, tmp_path: Path) -> None:
    root = fixtures / "tfrecords/shepard_metzler_5_parts"
    half, whole = files(root, tmp_path, fraction=0.45), files(root, tmp_path)
    assert len(half.scenes("train")) + len(half.scenes("val")) == 4
    assert len(list(tmp_path.rglob("train-*.safetensors"))) == 1
    assert len(whole.scenes("train")) + len(whole.scenes("val")) == 8
    assert len(half.scenes("test")) == len(whole.scenes("test")) == 4
    with pytest.raises(ValueError, match=r"fraction=1\.5 is not in 0\.\.1"):
        files(root, tmp_path, fraction=1.5).setup()


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
    with pytest.raises(ValueError, match=r"the split 'train' of .* has no scenes"):
        data.train_dataloader()


def test_where_there_is_no_validation_split_training_scenes_are_held_out(fixtures: Path, tmp_path: Path) -> None:
    data = files(fixtures / "tfrecords", tmp_path)
    train, val = data.split("train").rows, data.split("val").rows
    assert sorted(train.tolist() + val.tolist()) == list(range(8))
    assert 1 <= len(val) < 4
    assert torch.equal(files(fixtures / "tfrecords", tmp_path, seed=5).split("val").rows, val)


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


def test_reading_a_store_never_changes_it(tmp_path: Path) -> None:
    source = rendered(tmp_path / "cache").source
    index = build_store(source, tmp_path, source.pieces())
    (tmp_path / index.shards[0].file).unlink()
    before = (tmp_path / "index.json").read_bytes()
    data = store(tmp_path)
    data.prepare_data()
    with pytest.raises(ValueError, match=r"has 0 bytes where the index says \d+.*prepare the store again"):
        data.provenance()
    assert (tmp_path / "index.json").read_bytes() == before


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
    with pytest.raises(ValueError, match=r"the split 'test' of .* has no scenes"):
        files(fixtures / "tfrecords", tmp_path, name="jaco").scenes("test")
    with pytest.raises(ValueError, match="is not a store"):
        store(tmp_path).setup()


class Recorder(LightningModule):
    """Remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.shown: list[tuple[list[int], int]] = []

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        self.shown.append((batch.scenes.tolist(), int(batch.frames.long().sum())))
        return self.weight.sum()

    def validation_step(self, batch: Batch, index: int) -> None:
        assert batch.frames.shape[1] == 3

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(data: SceneDataModule, folder: Path, steps: int, *, resume: bool = False) -> list[tuple[list[int], int]]:
    module = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        val_check_interval=3,
        num_sanity_val_steps=0,
        callbacks=[ModelCheckpoint(folder, save_last=True, every_n_train_steps=1)],
    )
    trainer.fit(module, datamodule=data, ckpt_path=str(folder / "last.ckpt") if resume else None)
    return module.shown


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize(("stop", "workers"), [(3, 0), (8, 0), pytest.param(10, 2, marks=pytest.mark.slow)])
def test_resumed_training_sees_what_uninterrupted_training_sees(
    shared: Path, tmp_path: Path, online: bool, stop: int, workers: int
) -> None:
    def data() -> SceneDataModule:
        return rendered(shared, online=online, num_workers=workers)

    expected = fit(data(), tmp_path / "whole", 12)  # an epoch has 8 steps
    begun = fit(data(), tmp_path / "parts", stop)
    assert begun + fit(data(), tmp_path / "parts", 12, resume=True) == expected
    ids = [scene for batch, _ in expected for scene in batch]
    assert len(set(ids)) == 96 if online else len(set(ids)) <= 70


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


def test_a_prepared_store_keeps_its_own_validation_split(tmp_path: Path) -> None:
    source = rendered(tmp_path / "cache").source
    build_store(source, tmp_path / "store", source.pieces())
    data = store(tmp_path / "store")
    assert {split: len(data.scenes(split)) for split in ("train", "val", "test")} == {
        "train": 128,
        "val": 64,
        "test": 64,
    }


def test_shapes_that_are_known_are_held_out_whole(tmp_path: Path) -> None:
    source = rendered(tmp_path / "cache", train=512, val=0, test=0).source
    build_store(source, tmp_path / "store", source.pieces())
    data = store(tmp_path / "store")
    shapes = [set(part["shapes"]) for part in data.provenance()["splits"].values()]
    assert len(shapes) == 3
    assert sum(map(len, shapes)) == len(set.union(*shapes)) == 8


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


@pytest.mark.parametrize("online", [False, True])
def test_the_background_is_measured(shared: Path, online: bool) -> None:
    data = rendered(shared, online=online, parts=[4, 8], size=16)
    assert data.background() == (212 / 255,) * 3
    stated = data.provenance()
    assert stated["background"] == list(data.background())
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
        ({"kind": "perspective", "scale": "wide"}, "lens.scale=wide is no length"),
        ({"kind": "perspective", "scale": 1, "radius": None}, "lens.radius=None is no length"),
        ({"kind": "perspective", "scale": 1, "width": 2}, "lens.width is not known: a lens has kind, scale"),
        ({"kind": "perspective", "scale": 1, "box": [1, 2]}, r"lens.box=\[1, 2\] is not three numbers"),
    ],
)
def test_a_lens_that_cannot_be_meant_is_refused(tmp_path: Path, lens: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rendered(tmp_path, lens=lens)
