"""Losses of small networks at a fixed seed, to the last digit: ``python tests/losses.py`` before and after a change.

Each encoder and generator core takes 20 steps in 32 bits on one CPU thread: two outputs that are alike show that the
change changed no number of training.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import pytorch_lightning as L
import torch
from hydra import compose, initialize_config_dir
from scripts import ROOT

from gqn_probe.model import GQN
from gqn_probe.run import job

DATA = [
    *("data.size=16", "data.views=5", "data.train=24", "data.val=8", "data.test=8", "data.batch_size=8"),
    *("data.parts=5", "model.generator.size=16", "model.generator.steps=2"),
    *("training.context=[1,3]", "training.queries=1", "training.reference_count=1", "training.validation_counts=[1]"),
    *("model.generator.hidden_channels=8", "model.generator.canvas_channels=8"),
]
CONVOLUTIONS = ("model.encoder.width=8", "model.encoder.channels=8")
NETWORKS = {
    "points": ("model.encoder.points=16", "model.encoder.width=8", "model.encoder.channels=8", "model.encoder.heads=2"),
    "points, tower": ("model/encoder=tower", *CONVOLUTIONS),
    "paper": ("model=paper", *CONVOLUTIONS),
    "paper, pyramid": ("model=paper", "model/encoder=pyramid", "model.encoder.channels=8"),
    "released": ("model=released", *CONVOLUTIONS),
}


class Losses(L.Callback):
    """Prints the loss of each step."""

    def __init__(self, network: str) -> None:
        self.network = network

    def on_train_batch_end(self, trainer, pl_module, outputs: Any, batch, batch_idx):
        print(f"{self.network} {trainer.global_step:2d} {outputs['loss'].item()!r}")


def print_losses(network: str, steps: int, cache: Path) -> None:
    """Train one of the networks and print the loss of each step."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", [*DATA, *NETWORKS[network], f"data.cache={cache}"])
    job.setup_job(cfg.seed)
    gqn: GQN = job.instantiate(cfg.model)
    module = job.instantiate(cfg.training, gqn=gqn, seed=cfg.seed)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    lasting = {"max_steps": steps, "max_epochs": -1, "limit_val_batches": 0, "gradient_clip_val": 1.0}
    trainer = L.Trainer(accelerator="cpu", precision="32-true", callbacks=[Losses(network)], **quiet, **lasting)
    trainer.fit(module, datamodule=job.instantiate(cfg.data))


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            print_losses(name, int(sys.argv[1]) if len(sys.argv) > 1 else 20, Path(folder))
