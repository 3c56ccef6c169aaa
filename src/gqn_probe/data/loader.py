"""Batches of scenes for a DataLoader: which scenes make which batch, and what is read of them.

The order is a pure function of seed, epoch, rank and number of ranks, and can be resumed at any batch. torch's
DistributedSampler is the base because Lightning leaves such samplers alone and tells them the epoch.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, SequentialSampler

from gqn_probe.data.sources.rendered import RenderedScenes
from gqn_probe.data.stimuli.cameras import encode_cameras
from gqn_probe.data.stimuli.counter_rng import scene_keys
from gqn_probe.data.store.store_reader import StoredScenes
from gqn_probe.types import Batch


class StoredBatches(Dataset):
    """Scenes of a store, a whole batch at a time; cameras encoded in the given order."""

    def __init__(self, scenes: StoredScenes, order: str) -> None:
        self.scenes, self.order = scenes, order

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: Int[Tensor, " b"]) -> Batch:
        scenes = self.scenes[index]
        return Batch(scenes.frames, encode_cameras(scenes.cameras, self.order), self.scenes.rows[index])


class RenderedBatches(Dataset):
    """Scenes that are rendered once a batch is on its device; until then a batch is their ids and has no views."""

    def __init__(self, source: RenderedScenes) -> None:
        self.source = source

    def __len__(self) -> int:
        return self.source.train

    def __getitem__(self, ids: Int[Tensor, " b"]) -> Batch:
        size = self.source.size
        frames = torch.empty(len(ids), 0, 3, size, size, dtype=torch.uint8)
        return Batch(frames, torch.empty(len(ids), 0, 7), ids)


class SceneBatchSampler(DistributedSampler):
    """Yields the rows of one batch at a time.

    Training drops what does not fill a batch on every rank; evaluation shows every scene, in order, and repeats the
    first ones where ranks would differ in number. ``fresh`` rows are new in each epoch: they go on counting.

    With ``shards``, the shard of each scene, training goes through the shards in an order that each epoch draws, every
    rank through shards of its own; a scene comes up to ``window`` places late, so that few shards are read at a time.
    """

    def __init__(
        self,
        scenes: int,
        batch_size: int,
        *,
        seed: int,
        train: bool,
        fresh: bool = False,
        rank: int = 0,
        world: int = 1,
        shards: Int[Tensor, " s"] | None = None,
        window: int = 1,
    ) -> None:
        if scenes < world:
            raise ValueError(f"{scenes} scenes cannot be shared by {world} devices: use fewer trainer.devices")
        super().__init__(range(scenes), world, rank, shuffle=train, seed=seed, drop_last=train)  # pyright: ignore[reportArgumentType]
        self.scenes, self.train, self.fresh, self.start = scenes, train, fresh, 0
        self.shards, self.window = shards, window
        self.batch_size = min(batch_size, scenes // world) if train else batch_size

    def __len__(self) -> int:
        """Batches an epoch on this rank."""
        if self.train:
            return self.scenes // self.num_replicas // self.batch_size
        return math.ceil(self.num_samples / self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Another epoch starts at its first batch."""
        if epoch != self.epoch:
            self.start = 0
        super().set_epoch(epoch)

    def _order(self) -> Int[Tensor, " s"]:
        if self.fresh:
            return torch.arange(self.scenes) + self.epoch * self.scenes
        if not self.train:
            return torch.arange(self.scenes)
        return torch.randperm(self.scenes, generator=self._generator("order"))

    def _streamed(self, shards: Int[Tensor, " s"]) -> Int[Tensor, " a"]:
        """This rank's part of the scenes, shard after shard, each scene late by less than the window."""
        names, own = shards.unique(return_inverse=True)
        turns = torch.randperm(len(names), generator=self._generator("shards"))[own]
        part = turns.argsort(stable=True)[self.rank * self.num_samples :][: self.num_samples]
        late = self.window * torch.rand(len(part), generator=self._generator(f"late {self.rank}"), dtype=torch.float64)
        return part[(torch.arange(len(part)) + late).argsort()]

    def _generator(self, stream: str) -> torch.Generator:
        key = scene_keys(torch.tensor([self.epoch]), seed=self.seed, stream=stream)
        return torch.Generator().manual_seed(int(key))

    def __iter__(self) -> Iterator[Int[Tensor, " b"]]:
        start, self.start = self.start, 0
        if self.shards is not None:
            share = self._streamed(self.shards)
        else:
            share = self._order()[(torch.arange(self.num_samples) * self.num_replicas + self.rank) % self.scenes]
        for batch in range(start, len(self)):
            yield share[batch * self.batch_size : (batch + 1) * self.batch_size]


class FixedOrderSampler(SceneBatchSampler, SequentialSampler):
    """The same scenes in the same order in every epoch, for ``overfit_batches``.

    Lightning would put a sampler of single scenes in the place of any that is not sequential.
    """


class SceneLoader(DataLoader):
    """A DataLoader of whole batches that knows how far into the epoch it is; Lightning stores and restores that."""

    sampler: SceneBatchSampler  # pyright: ignore[reportIncompatibleVariableOverride]
    batch = 0

    def __iter__(self) -> Iterator:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.batch = self.sampler.start
        for batch in super().__iter__():
            self.batch += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The next batch: its epoch and its place in it."""
        done = self.batch >= len(self)
        return {"epoch": self.sampler.epoch + done, "batch": 0 if done else self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start there."""
        self.sampler.set_epoch(state["epoch"])
        self.sampler.start = state["batch"]
