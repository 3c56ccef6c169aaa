"""Which scenes make which batch: a pure function of seed, epoch, rank and number of ranks, that can be resumed.

torch's DistributedSampler is the base because Lightning leaves such samplers alone and tells them the epoch.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from gqn_probe.data.stimuli.counter_rng import scene_keys


class SceneBatches(DistributedSampler):
    """Yields the rows of one batch at a time.

    Training drops what does not fill a batch on every rank; evaluation shows every scene, in order, and repeats the
    first ones where ranks would differ in number. ``fresh`` rows are new in each epoch: they go on counting.
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
    ) -> None:
        if scenes < world:
            raise ValueError(f"{scenes} scenes cannot be shared by {world} devices: use fewer trainer.devices")
        super().__init__(range(scenes), world, rank, shuffle=train, seed=seed, drop_last=train)  # pyright: ignore[reportArgumentType]
        self.scenes, self.train, self.fresh, self.start = scenes, train, fresh, 0
        self.batch_size = min(batch_size, scenes // world) if train else batch_size

    def __len__(self) -> int:
        """Batches an epoch on this rank."""
        if self.train:
            return self.scenes // self.num_replicas // self.batch_size
        return -(-self.num_samples // self.batch_size)

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
        generator = torch.Generator().manual_seed(
            int(scene_keys(torch.tensor([self.epoch]), seed=self.seed, stream="order"))
        )
        return torch.randperm(self.scenes, generator=generator)

    def __iter__(self) -> Iterator[Int[Tensor, " b"]]:
        start, self.start = self.start, 0
        order = self._order()
        share = order[(torch.arange(self.num_samples) * self.num_replicas + self.rank) % self.scenes]
        for batch in range(start, len(self)):
            yield share[batch * self.batch_size : (batch + 1) * self.batch_size]


class SceneLoader(DataLoader):
    """A DataLoader of whole batches that knows how far into the epoch it is; Lightning stores and restores that."""

    sampler: SceneBatches
    batch = 0

    def __iter__(self) -> Iterator:
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
