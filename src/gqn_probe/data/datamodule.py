"""The LightningDataModule: makes sure that the scenes are in a store, then serves batches of them.

Every source goes through the same store, so that reading never depends on where scenes came from.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import Dataset

from ..types import Batch, Scenes
from .batches import SceneBatches, SceneLoader
from .cameras import encode_cameras
from .draws import scene_keys
from .prepare import prepare_store
from .render import Background
from .sources import DatasetFiles, Piece, Rendered, Source
from .store import StoredScenes

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
HELD_OUT = 0.05  # of the training scenes, for validation, where a source has no validation split


class SplitScenes(Dataset):
    """Some rows of a stored split."""

    def __init__(self, stored: StoredScenes, rows: Int[Tensor, " s"], order: str) -> None:
        self.stored, self.rows, self.order = stored, rows, order

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Int[Tensor, " b"]) -> Batch:
        rows = self.rows[index]
        scenes = self.stored[rows]
        return Batch(scenes.frames, encode_cameras(scenes.cameras, self.order), rows)


class SceneDataModule(LightningDataModule):
    """Scenes of one source in the splits "train", "val" and "test".

    Where the source has no validation or test split, 5 % of its training scenes, at least one, are held out, chosen by
    ``seed``.

    Args:
        fraction: how much of the training split to use, in 0..1; a whole number of pieces (files) is read.
        seed: decides the order of batches and what is held out.
        cache: folder for stores of scenes.
    """

    def __init__(
        self,
        *,
        source: Source,
        batch_size: int,
        num_workers: int,
        seed: int,
        camera_order: str,
        fraction: float,
        cache: str,
    ) -> None:
        super().__init__()
        if not 0 < fraction <= 1:
            raise ValueError(f"data.fraction={fraction} is not in 0..1: 1 takes all training scenes")
        self.source, self.cache = source, Path(cache)
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.camera_order = camera_order
        self.fraction = fraction
        self._splits: dict[Split, SplitScenes] = {}

    @property
    def folder(self) -> Path:
        """Where the store is."""
        identity = self.source.identity()
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return self.cache / f"{identity['kind']}-{digest[:12]}"

    def _pieces(self) -> list[Piece]:
        pieces = self.source.pieces()
        train = [piece for piece in pieces if piece.split == "train"]
        kept = train[: math.ceil(self.fraction * len(train))]
        return kept + [piece for piece in pieces if piece.split != "train"]

    def prepare_data(self) -> None:
        """Render, read or convert what the store lacks."""
        prepare_store(self.source, self.folder, self._pieces())

    def setup(self, stage: str | None = None) -> None:
        """Open the store, which is prepared first where it has to be."""
        if self._splits:
            return
        pieces = self._pieces()
        index = prepare_store(self.source, self.folder, pieces)
        shards = {(shard.split, shard.piece): shard for shard in index.shards}
        for split in SPLITS:
            stored = StoredScenes(self.folder, [shards[piece] for piece in pieces if piece.split == split])
            limit = self.source.limit(split)
            rows = torch.arange(len(stored) if limit is None else min(limit, len(stored)))
            self._splits[split] = SplitScenes(stored, rows, self.camera_order)
        held_out: tuple[Split, ...] = ("val", "test")
        for split in held_out:
            if not len(self._splits[split]):
                self._hold_out(split)

    def _hold_out(self, split: Split) -> None:
        """Move scenes from training to a split that the source does not have, if that leaves any."""
        train = self._splits["train"]
        count = min(max(1, round(HELD_OUT * len(train))), len(train) - 1)
        order = scene_keys(train.rows, seed=self.seed, stream=f"held out {split}").argsort()
        held, kept = train.rows[order[:count].sort().values], train.rows[order[count:].sort().values]
        self._splits[split] = SplitScenes(train.stored, held, self.camera_order)
        self._splits["train"] = SplitScenes(train.stored, kept, self.camera_order)

    def split(self, split: Split) -> SplitScenes:
        """The scenes of a split.

        Raises:
            ValueError: where it is empty.
        """
        self.setup()
        if not len(self._splits[split]):
            raise ValueError(f"the split {split!r} of {self.source} has no scenes")
        return self._splits[split]

    @property
    def views(self) -> int:
        """How many views a scene has."""
        return self.scenes("train", limit=1).views

    def scenes(self, split: Split, limit: int | None = None) -> Scenes:
        """The first ``limit`` scenes of a split in memory, frames as bytes; all for None."""
        chosen = self.split(split)
        return chosen.stored[chosen.rows[:limit]]

    def encode(self, raw: Float[Tensor, "*n 5"]) -> Float[Tensor, "*n 7"]:
        """Raw cameras to what the network sees, in the configured order."""
        return encode_cameras(raw, self.camera_order)

    def train_dataloader(self) -> SceneLoader:
        """Batches in an order that seed and epoch decide; each rank has its own scenes."""
        return self._loader("train")

    def val_dataloader(self) -> SceneLoader:
        """Batches in the order of the scenes."""
        return self._loader("val")

    def _loader(self, split: Split) -> SceneLoader:
        scenes = self.split(split)
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        batches = SceneBatches(
            len(scenes), self.batch_size, seed=self.seed, train=split == "train", rank=rank, world=world
        )
        return SceneLoader(
            scenes,
            batch_size=None,
            sampler=batches,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def fingerprint(self, split: Split) -> str:
        """Identifies the content of a split, in hex: the checksums of its shards and the rows taken from them."""
        chosen = self.split(split)
        digest = hashlib.sha256(chosen.rows.numpy().tobytes())
        for shard in chosen.stored.shards:
            digest.update(f"{shard.scenes} {shard.crc32c} ".encode())
        return digest.hexdigest()[:16]

    def provenance(self) -> dict:
        """What stands beside every result: source, sizes, and the content and shapes of each split."""
        splits = {}
        for split, scenes in self._splits.items():
            splits[split] = {"scenes": len(scenes)}
            if len(scenes):
                splits[split]["fingerprint"] = self.fingerprint(split)
        return {"source": self.source.identity(), "camera_order": self.camera_order, "splits": splits}


def shepard_metzler(
    *,
    parts: int,
    size: int,
    views: int,
    train: int,
    val: int,
    test: int,
    background: Background,
    split_by: Literal["shape", "scene"],
    seed: int,
    batch_size: int,
    num_workers: int,
    camera_order: str,
    fraction: float,
    cache: str,
) -> SceneDataModule:
    """Shepard-Metzler objects rendered by us."""
    return SceneDataModule(
        source=Rendered(parts, size, views, train, val, test, seed, background, split_by),
        batch_size=batch_size,
        num_workers=num_workers,
        seed=seed,
        camera_order=camera_order,
        fraction=fraction,
        cache=cache,
    )


def dataset_files(
    *,
    kind: Literal["deepmind", "converted"],
    root: str,
    name: str,
    size: int | None,
    frames: Literal["raw", "jpeg"],
    seed: int,
    batch_size: int,
    num_workers: int,
    camera_order: str,
    fraction: float,
    cache: str,
) -> SceneDataModule:
    """A published dataset in DeepMind's format or the PyTorch port's."""
    return SceneDataModule(
        source=DatasetFiles(kind, root, name, size, frames),
        batch_size=batch_size,
        num_workers=num_workers,
        seed=seed,
        camera_order=camera_order,
        fraction=fraction,
        cache=cache,
    )
