"""Stores behind a URL give the same scenes, with few shards at a time, resumable anywhere."""

from pathlib import Path

import pytest
import torch
from data_modules import store
from jaxtyping import Int
from torch import Tensor

from gqn_probe.data import SceneDataModule, render_scenes
from gqn_probe.data.loader import SceneBatchSampler, SceneLoader
from gqn_probe.data.store import prepared_store
from gqn_probe.data.store.shard_file import write_shard
from gqn_probe.data.store.store_index import Index

SHARDS, SCENES = 20, 6


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bucket")
    kept = [("train", number) for number in range(SHARDS)] + [("val", 0), ("test", 0)]
    shards = [
        write_shard(folder, split, f"{number:05d}", render_scenes(SCENES, views=3, size=8, seed=number, stream=split))
        for split, number in kept
    ]
    Index({"kind": "test"}, tuple(shards), lens={"kind": "orthographic", "scale": 0.8}).write(folder)
    return folder


@pytest.fixture
def fetched(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was fetched, in order."""
    names: list[str] = []

    def fetch(path: str) -> bytes:
        names.append(path.rpartition("/")[2])
        return bucket.joinpath(names[-1]).read_bytes()

    monkeypatch.setattr(prepared_store, "fetch", fetch)
    return names


def remote(cache: Path, **changes: object) -> SceneDataModule:
    return store("gs://bucket", **{"cache": str(cache), "window": 12, **changes})


def test_batches_of_a_url_are_the_stores_and_go_on_in_mid_epoch(
    bucket: Path, fetched: list[str], tmp_path: Path
) -> None:
    local, data = store(bucket).split("train"), remote(tmp_path)
    loader = data.train_dataloader()
    first = list(loader)
    assert len({scene for batch in first for scene in batch.scenes.tolist()}) == SHARDS * SCENES
    assert all(torch.equal(batch.frames, local[batch.scenes].frames) for batch in first)
    assert sorted(fetched) == sorted({*fetched})  # each once
    loader.sampler.set_epoch(1)
    second = [batch.scenes.tolist() for batch in loader]
    assert second != [batch.scenes.tolist() for batch in first]
    begun = data.train_dataloader()
    for _, batch in zip(range(7), begun, strict=False):
        assert batch.frames.shape == (4, 3, 3, 8, 8)
    again = remote(tmp_path / "other machine").train_dataloader()
    again.load_state_dict(begun.state_dict())
    assert [batch.scenes.tolist() for batch in again] == [batch.scenes.tolist() for batch in first[7:]]
    validation = [batch.scenes.tolist() for batch in data.val_dataloader()]
    assert [scene for batch in validation for scene in batch] == list(range(SCENES))


def test_ranks_read_shards_of_their_own_and_a_scene_is_late_by_less_than_the_window() -> None:
    shards = torch.arange(SHARDS).repeat_interleave(SCENES)

    def rows(rank: int, window: int) -> Int[Tensor, " s"]:
        settings = {"seed": 0, "train": True, "rank": rank, "world": 2, "shards": shards, "window": window}
        return torch.cat(list(SceneBatchSampler(len(shards), 5, **settings)))  # pyright: ignore[reportArgumentType]

    first, second = rows(0, 12), rows(1, 12)
    assert sorted(torch.cat([first, second]).tolist()) == list(range(len(shards)))
    assert {*shards[first].tolist()}.isdisjoint(shards[second].tolist())
    in_order = rows(0, 1)
    assert shards[in_order].unique_consecutive().numel() == SHARDS // 2
    assert first.tolist() != in_order.tolist()
    places = {scene: place for place, scene in enumerate(in_order.tolist())}
    late = torch.tensor([place - places[scene] for place, scene in enumerate(first.tolist())])
    assert late.abs().max() < 24
    assert late.abs().max() > 3


def test_fetched_shards_make_room_and_a_damaged_one_is_fetched_again(
    bucket: Path, fetched: list[str], tmp_path: Path
) -> None:
    (size,) = {path.stat().st_size for path in bucket.glob("train-*.safetensors")}
    data = remote(tmp_path, kept_gb=3.5 * size / 1e9)
    for _ in data.train_dataloader():
        assert sum(1 for _ in data.folder.glob("*.safetensors")) <= 3
    kept = max(data.folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    fetched.clear()
    assert len(remote(tmp_path).split("train")[:]) == SHARDS * SCENES
    assert fetched.count(kept.name) == 1
    assert kept.read_bytes() == (bucket / kept.name).read_bytes()


@pytest.mark.slow
def test_workers_read_from_a_url_that_fsspec_opens(bucket: Path, tmp_path: Path) -> None:
    found = store(f"file://{bucket}", cache=str(tmp_path), num_workers=2).train_dataloader()
    assert isinstance(found, SceneLoader)
    local = store(bucket).split("train")
    assert all(torch.equal(batch.frames, local[batch.scenes].frames) for batch in found)
    with pytest.raises(ValueError, match=r"nowhere/index\.json does not exist"):
        store("file:///nowhere", cache=str(tmp_path)).split("train")
