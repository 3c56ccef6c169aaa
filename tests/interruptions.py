"""Callbacks that break the run they are in, as a scheduler, a power cut or a bad batch would."""

# pyright: reportIncompatibleMethodOverride=false
# a callback here needs few of the arguments that Lightning gives it

import os
from pathlib import Path
from typing import Any

import pytorch_lightning as L


class SignalAt(L.Callback):
    """Sends ``signal`` to one process at the start of step ``step``, unless ``marker`` shows that it did so before."""

    def __init__(self, step: int, signal: int, marker: str, rank: int = 0) -> None:
        self.step, self.signal, self.marker, self.rank = step, signal, Path(marker), rank

    def on_train_batch_start(self, trainer: L.Trainer, *args: object) -> None:
        here = (trainer.global_step, trainer.global_rank) == (self.step, self.rank)
        if here and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), self.signal)


class NotANumberAt(L.Callback):
    """Puts a NaN into the cameras of one device's batch at step ``step``."""

    def __init__(self, step: int, rank: int) -> None:
        self.step, self.rank = step, rank

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.global_step, trainer.global_rank) == (self.step, self.rank):
            batch.cameras.fill_(float("nan"))


class ErrorAt(L.Callback):
    """Raises a ValueError on one device at step ``step``."""

    def __init__(self, step: int, rank: int) -> None:
        self.step, self.rank = step, rank

    def on_train_batch_start(self, trainer: L.Trainer, *args: object) -> None:
        if (trainer.global_step, trainer.global_rank) == (self.step, self.rank):
            raise ValueError(f"rank {self.rank} broke")
