"""Resumed training sees the batches that uninterrupted training sees."""

from pathlib import Path

import pytest
import torch
from data_modules import rendered
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from gqn_probe.data import SceneDataModule
from gqn_probe.types import Batch


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
