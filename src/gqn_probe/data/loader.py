"""Datasets, samplers and the DataLoader of whole batches, which can be resumed at any batch of an epoch.

The order is a pure function of seed, epoch, rank and number of ranks. Samplers derive from torch's DistributedSampler
because Lightning does not replace those, and calls their ``set_epoch``.
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
    """Stored scenes, indexed by a whole batch; cameras encoded in the given order."""

    def __init__(self, scenes: StoredScenes, order: str) -> None:
        self.scenes, self.order = scenes, order

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: Int[Tensor, " b"]) -> Batch:
        scenes = self.scenes[index]
        return Batch(scenes.frames, encode_cameras(scenes.cameras, self.order), self.scenes.rows[index])


class RenderedBatches(Dataset):
    """Scenes to be rendered on the training device: a batch holds their ids, and frames of zero views."""

    def __init__(self, source: RenderedScenes) -> None:
        self.source = source

    def __len__(self) -> int:
        return self.source.train

    def __getitem__(self, ids: Int[Tensor, " b"]) -> Batch:
        size = self.source.size
        frames = torch.empty(len(ids), 0, 3, size, size, dtype=torch.uint8)
        return Batch(frames, torch.empty(len(ids), 0, 7), ids)


class SceneBatchSampler(DistributedSampler):
    """Sampler of whole batches: yields the rows of one batch at a time.

    Training drops the scenes that do not fill a batch on every rank. Evaluation takes every scene in order, and repeats
    the first ones so that ranks have equally many.

    Args:
        fresh: number rows on from epoch to epoch, for scenes that are new in each.
        shards: shard of each scene. Training then reads shard after shard, in an order drawn for each epoch and with
            shards of its own for each rank, so that few are open at a time.
        window: with ``shards``, length of the shuffle buffer: a scene is delayed by up to so many places.
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
        """Return the number of batches of an epoch on this rank."""
        if self.train:
            return self.scenes // self.num_replicas // self.batch_size
        return math.ceil(self.num_samples / self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Start ``epoch``, at its first batch unless it is the present one."""
        if epoch != self.epoch:
            self.start = 0
        super().set_epoch(epoch)

    def _epoch_order(self) -> Int[Tensor, " a"]:
        """Return this rank's rows."""
        if self.shards is not None:
            return self._streamed_order(self.shards)
        order = torch.arange(self.scenes)
        if self.fresh:
            order += self.epoch * self.scenes
        elif self.train:
            order = torch.randperm(self.scenes, generator=self._generator("order"))
        return order[(torch.arange(self.num_samples) * self.num_replicas + self.rank) % self.scenes]

    def _streamed_order(self, shards: Int[Tensor, " s"]) -> Int[Tensor, " a"]:
        """Return this rank's rows, shard after shard, each delayed by a random part of the window."""
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
        yield from self._epoch_order().split(self.batch_size)[start : len(self)]


class FixedOrderSampler(SceneBatchSampler, SequentialSampler):
    """Sampler with the same order in every epoch, for Lightning's ``overfit_batches``.

    Lightning replaces samplers that are not sequential by one of single scenes.
    """


class SceneLoader(DataLoader):
    """DataLoader of whole batches whose position in the epoch Lightning saves in checkpoints and restores."""

    sampler: SceneBatchSampler  # pyright: ignore[reportIncompatibleVariableOverride]
    batch = 0

    def __iter__(self) -> Iterator:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.batch = self.sampler.start
        for batch in super().__iter__():
            self.batch += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return epoch and index of the next batch."""
        done = self.batch >= len(self)
        return {"epoch": self.sampler.epoch + done, "batch": 0 if done else self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue at the batch that ``state_dict`` returned."""
        self.sampler.set_epoch(state["epoch"])
        self.sampler.start = state["batch"]
