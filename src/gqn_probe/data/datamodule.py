"""The LightningDataModule: prepares a store of the source's scenes, then loads batches from it.

Every source goes through a store, so that loading does not depend on where scenes came from.
"""

import logging
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from pytorch_lightning import LightningDataModule
from torch import Tensor

from gqn_probe.choices import check_choice
from gqn_probe.data.loader import FixedOrderSampler, RenderedBatches, SceneBatchSampler, SceneLoader, StoredBatches
from gqn_probe.data.sources.rendered import RenderedScenes
from gqn_probe.data.sources.source import Source, TrainFraction, json_digest, take_fraction
from gqn_probe.data.stimuli.cameras import ORDERS, encode_cameras, lens_settings
from gqn_probe.data.stimuli.counter_rng import scene_keys, uniform
from gqn_probe.data.store.prepared_store import PreparedStore
from gqn_probe.data.store.store_builder import CachedStore
from gqn_probe.data.store.store_reader import StoredScenes
from gqn_probe.data.workers import worker_settings
from gqn_probe.types import SPLITS, Batch, Lens, Scenes, Split

log = logging.getLogger(__name__)

BACKGROUND_FRAMES = 320
HELD_OUT = 0.05  # of the training scenes, for each split that the source lacks


class SceneDataModule(LightningDataModule):
    """Scenes of one source in the splits "train", "val" and "test".

    If the source lacks a validation or test split, 5 % of the training scenes on average, and at least one, are held
    out for it (whole shapes, if shapes are known). The choice depends on a scene's piece and its row in it alone.

    Args:
        online: render training scenes batch by batch on the training device, new ones in each epoch.
        fraction: of the training scenes to use, in (0, 1]; files beyond it are not read.
        batch_size: scenes of a batch on all devices together.
        seed: of the order of scenes.
        cache: folder below which stores of scenes are kept.
    """

    def __init__(
        self,
        *,
        source: Source,
        online: bool,
        batch_size: int,
        num_workers: int,
        seed: int,
        camera_order: str,
        fraction: float,
        cache: str,
    ) -> None:
        super().__init__()
        if online and fraction != 1:
            raise ValueError(f"data.fraction={fraction} means nothing where scenes are new: set data.train")
        check_choice("data.camera_order", camera_order, ORDERS)
        for name, value, least in (("batch_size", batch_size, 1), ("num_workers", num_workers, 0)):
            if value < least:
                raise ValueError(f"data.{name}={value} must be {least} or more")
        self.source, self.online = source, online
        self._store = source if isinstance(source, PreparedStore) else CachedStore(source, Path(cache))
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.camera_order = camera_order
        self.fraction = fraction
        self._splits: dict[Split, StoredScenes] = {}

    @property
    def folder(self) -> Path:
        """Folder of the store."""
        return self._store.folder

    @property
    def lens(self) -> Lens:
        """Lens of all cameras, and position of the scenes in the world."""
        return self.source.find_lens()

    @cached_property
    def background(self) -> tuple[float, float, float]:
        """Median colour (RGB in 0..1) of some 320 training frames, taken for the background."""
        if self.online:
            frames = self._render(torch.arange(BACKGROUND_FRAMES // self._rendered.views + 1)).frames
        else:
            train = self.split("train")
            chosen = torch.linspace(0, len(train) - 1, min(len(train), BACKGROUND_FRAMES // train.views + 8)).long()
            frames = train[chosen].frames
        red, green, blue = rearrange(frames, "s v c h w -> c (s v h w)").median(dim=1).values.tolist()
        return red / 255, green / 255, blue / 255

    @cached_property
    def _fraction(self) -> TrainFraction:
        """Pieces to read, and the fraction of their scenes to use."""
        taken = take_fraction(self.source, self.fraction)
        return taken._replace(pieces=[piece for piece in taken.pieces if not (self.online and piece.split == "train")])

    def prepare_data(self) -> None:
        """Add the missing pieces to the store."""
        self._store.index_with(self._fraction.pieces)

    def setup(self, stage: str | None = None) -> None:
        """Open all splits of the store, which is prepared first if necessary."""
        self._open(SPLITS)

    def _open(self, splits: Sequence[Split]) -> None:
        """Open ``splits`` and no others, except that the training split is opened with those held out from it."""
        held_out = self._missing_splits()
        together = {"train", *held_out}
        needed = {*splits} if together.isdisjoint(splits) else {*splits, *together}
        wanted: list[Split] = [split for split in SPLITS if split in needed and split not in self._splits]
        if not wanted:
            return
        pieces = [piece for piece in self._fraction.pieces if piece.split in wanted]
        shards = {(shard.split, shard.piece): shard for shard in self._store.index_with(pieces).shards}
        for split in wanted:
            own = [shards[piece] for piece in pieces if piece.split == split]
            stored = StoredScenes(self.folder, own, size=self._store.size, remake=self._store.remake)
            self._splits[split] = stored.select(slice(self._scenes_to_use(split, len(stored))))
        for split in held_out:
            if split in wanted:
                self._hold_out(split)

    def _scenes_to_use(self, split: Split, stored: int) -> int:
        """Return how many of the ``stored`` scenes of a split to use."""
        usable = min(stored, self.source.scene_limit(split)) if isinstance(self.source, RenderedScenes) else stored
        if split != "train" or self.fraction == 1 or not usable:
            return usable
        number = max(1, math.ceil(self._fraction.kept * usable - 1e-6))
        log.info("training on %d of about %d scenes (data.fraction)", number, round(usable / self._fraction.part))
        return number

    def _missing_splits(self) -> list[Split]:
        """Return the splits that the source lacks; rendered scenes have every split, of the size that was set."""
        if isinstance(self.source, RenderedScenes):
            return []
        present = {piece.split for piece in self.source.pieces()}
        return [split for split in SPLITS[1:] if split not in present]

    def _hold_out(self, split: Split) -> None:
        """Move about 5 % of the training scenes (whole shapes, if known) to ``split``; at least one stays."""
        train = self._splits["train"]
        if not len(train):
            return
        factors = None if self._store.streamed else train.factors
        groups = train.stable_ids if factors is None else factors.mirror_class
        ids, group = groups.unique(return_inverse=True)
        if len(ids) < 2:
            return
        draws = uniform(scene_keys(ids, seed=0, stream=f"held out {split}"), 1)[:, 0]
        held = ((draws < HELD_OUT) | (draws == draws.min()))[group]
        self._splits[split] = train.select(held)
        self._splits["train"] = train.select(~held)
        log.info("%d of %d training scenes are held out as split %r", int(held.sum()), len(train), split)

    def split(self, split: Split | Literal["all"]) -> StoredScenes:
        """Return the stored scenes of a split, whose ``rows`` are the ids in ``Batch.scenes``.

        "all" is every scene of the store, for a network that was trained on none of them.

        Raises:
            ValueError: the split is empty.
        """
        asked: Sequence[Split] = SPLITS if split == "all" else [split]
        self._open(asked)
        found = [self._splits[each] for each in asked if len(self._splits[each])]
        if not found:
            known = ", ".join(dict.fromkeys(piece.split for piece in self.source.pieces()))
            root = getattr(self.source, "root", "what is rendered")
            raise ValueError(f"the split {split!r} has no scenes; {root} has those of {known}")
        return StoredScenes.joined(found) if split == "all" else found[0]

    def scenes(self, split: Split, limit: int | None = None) -> Scenes:
        """Read the first ``limit`` scenes of a split into memory; all for None."""
        if self.online and split == "train":
            return self._render(torch.arange(self._rendered.train)[:limit])
        return self.split(split)[:limit]

    def encode(self, raw: Float[Tensor, "*n 5"]) -> Float[Tensor, "*n 7"]:
        """Encode raw cameras for the network, in the configured order."""
        return encode_cameras(raw, self.camera_order)

    def train_dataloader(self) -> SceneLoader:
        """Return batches in an order set by seed and epoch; every rank has scenes of its own."""
        return self._loader("train")

    def val_dataloader(self) -> SceneLoader:
        """Return batches in the order of the store."""
        return self._loader("val")

    def batch_on_each(self, devices: int) -> int:
        """Return the batch size of each of ``devices``, which must divide ``batch_size``."""
        if self.batch_size % devices:
            less, more = self.batch_size // devices * devices, -(-self.batch_size // devices) * devices
            raise ValueError(
                f"data.batch_size={self.batch_size} is that of all devices together, which {devices} devices cannot "
                f"share evenly: use {f'{less} or {more}' if less else more}"
            )
        return self.batch_size // devices

    def _loader(self, split: Split) -> SceneLoader:
        fresh = self.online and split == "train"
        scenes = RenderedBatches(self._rendered) if fresh else StoredBatches(self.split(split), self.camera_order)
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        workers = worker_settings(self.num_workers)
        kind = FixedOrderSampler if getattr(self.trainer, "overfit_batches", 0) else SceneBatchSampler
        train = split == "train" and kind is SceneBatchSampler
        order: dict[str, Any] = {"seed": self.seed, "rank": rank, "world": world}
        if self._store.streamed and train:
            order |= {"shards": self.split(split).shard_numbers, "window": self._store.streamed}
        sampler = kind(len(scenes), self.batch_on_each(world), train=train, fresh=fresh and train, **order)
        return SceneLoader(
            scenes,
            batch_size=None,
            sampler=sampler,
            persistent_workers=workers["num_workers"] > 0,
            pin_memory=torch.cuda.is_available(),
            **workers,
        )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Render the scenes of a batch that has ids only."""
        if batch.frames.shape[1]:
            return batch
        scenes = self._render(batch.scenes)
        return Batch(scenes.frames, self.encode(scenes.cameras), batch.scenes)

    @property
    def _rendered(self) -> RenderedScenes:
        if not isinstance(self.source, RenderedScenes):
            raise ValueError("only rendered scenes can be made online: use data=shepard_metzler")
        return self.source

    def _render(self, ids: Int[Tensor, " b"]) -> Scenes:
        return self._rendered.render(ids, "train")

    def fingerprint(self, split: Split | Literal["all"]) -> str:
        """Return a hash (hex) of the content of a split: checksums of its shards, and the rows taken from them."""
        if self.online and split == "train":
            return json_digest(self.source.identity())
        chosen = self.split(split)
        resized = [] if chosen.size is None else [chosen.size]
        shards = [(shard.scenes, shard.crc32c) for shard in chosen.shards]
        return json_digest([chosen.rows.tolist(), shards, *resized])

    def provenance(self) -> dict:
        """Return the provenance of the data: its source, and size, fingerprint and known shapes of each split."""
        self.setup()
        splits = {}
        for split in SPLITS:
            if len(scenes := self._splits[split]):
                factors = None if self._store.streamed else scenes.factors  # which would be read of every scene
                shapes = factors.mirror_class.unique().tolist() if factors else None
                splits[split] = {"scenes": len(scenes), "fingerprint": self.fingerprint(split), "shapes": shapes}
        return {
            "source": self.source.identity(),
            "online": self.online,
            "camera_order": self.camera_order,
            "lens": lens_settings(self.lens),
            "background": list(self.background) if self.online or "train" in splits else None,
            "fraction": self.fraction,
            "splits": splits,
        }
