"""What training leaves behind: the best weights as a file of their own, a film made with them, their metrics."""

from pathlib import Path

import pytorch_lightning as L
from pytorch_lightning.loggers import WandbLogger

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.sources import Rendered
from gqn_probe.model import GQN, load_gqn, save_weights
from gqn_probe.training.gqn_module import GQNModule
from gqn_probe.training.orbit import orbit, save_gif


def conclude(trainer: L.Trainer, module: GQNModule, data: SceneDataModule, folder: Path) -> dict[str, float]:
    """Export the best checkpoint (the present weights, if none was kept) to ``weights.safetensors``.

    Returns the metrics of the last validation.
    """
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    if trainer.is_global_zero:
        best = folder / "checkpoints" / "best.ckpt"
        gqn = load_gqn(best).to(module.device) if best.exists() else module.gqn
        metadata = {
            "steps": str(trainer.global_step),
            "data": data.fingerprint("train"),
            "camera_order": data.camera_order,
        }
        save_weights(gqn, folder / "weights.safetensors", metadata)
        print(f"weights: {folder / 'weights.safetensors'}")
        if isinstance(data.source, Rendered):  # others have no truth from a camera of our choice
            film(trainer, gqn, data, folder / "orbit.gif")
    return metrics


def film(trainer: L.Trainer, gqn: GQN, data: SceneDataModule, path: Path) -> None:
    """An animation of the camera around held-out objects, in the folder and in the W&B run."""
    save_gif(orbit(gqn, data, counts=(1, 3, 10), objects=4, positions=24), path)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            caption = "truth, then samples from 1, 3 and 10 context views"
            logger.log_video("orbit", [str(path)], caption=[caption], format=["gif"])
