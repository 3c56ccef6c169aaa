"""Fit the smallest network for a step or two, without the scripts around it."""

from pathlib import Path
from typing import Any

import pytorch_lightning as L
from tiny import tiny_data

from gqn_probe.data import SceneDataModule
from gqn_probe.training.gqn_module import GQNModule


def fit(
    module: GQNModule, cache: Path | None = None, *overrides: str, data: SceneDataModule | None = None, **settings: Any
) -> L.Trainer:
    """Fit two steps and a validation of tiny data, or of ``data``; ``settings`` are the trainer's."""
    trainer = L.Trainer(
        **{"accelerator": "cpu", "max_steps": 2, "max_epochs": -1, "val_check_interval": 2, "logger": False}
        | {"check_val_every_n_epoch": None, "num_sanity_val_steps": 0, "enable_checkpointing": False}
        | {"enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}
        | settings
    )
    if data is None:
        assert cache is not None
        data = tiny_data(cache, *overrides)
    trainer.fit(module, datamodule=data)
    return trainer
