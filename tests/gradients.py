"""python gradients.py DEVICES FILE: the gradient of one global batch of eight scenes, without chance."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false
# torch and Lightning type what a module or a trainer holds more loosely than it is

import functools
import sys
from pathlib import Path

import pytorch_lightning as L
import torch
from tiny import tiny_data, tiny_module

from gqn_probe.training.gqn_module import GQNModule
from gqn_probe.training.metrics import held_out_episode
from gqn_probe.types import Batch


class Keep(L.Callback):
    """Writes the gradient that each device has after all have exchanged theirs."""

    def __init__(self, path: str) -> None:
        self.path = path

    def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        gradient = torch.cat([parameter.grad.flatten() for parameter in pl_module.parameters()])
        torch.save(gradient, f"{self.path}.{trainer.global_rank}")


def fixed_step(module: GQNModule, batch: Batch) -> torch.Tensor:
    loss, _ = module.objective(held_out_episode(batch, 3))
    return loss


def main(devices: int, path: str) -> None:
    L.seed_everything(0, verbose=False)
    module = tiny_module()
    module.training_step = lambda batch, batch_idx: fixed_step(module, batch)
    module.configure_gradient_clipping = lambda *arguments, **named: None
    module.gqn.predict = functools.partial(module.gqn.predict, deterministic=True)
    data = tiny_data(Path("cache"), "data.batch_size=8")
    trainer = L.Trainer(
        accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto", max_steps=1,
        limit_val_batches=0, logger=False, callbacks=[Keep(path)], enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
