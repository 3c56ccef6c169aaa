"""What training leaves behind: the best weights as a file of their own, and the metrics they reached."""

from pathlib import Path

import pytorch_lightning as L

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.model import load_gqn, save_weights
from gqn_probe.training.gqn_module import GQNModule


def conclude(trainer: L.Trainer, module: GQNModule, data: SceneDataModule, folder: Path) -> dict[str, float]:
    """Export the best checkpoint (the present weights, if none was kept) to ``weights.safetensors``.

    Returns the metrics of the last validation.
    """
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    if trainer.is_global_zero:
        best = folder / "checkpoints" / "best.ckpt"
        gqn = load_gqn(best) if best.exists() else module.gqn
        metadata = {
            "steps": str(trainer.global_step),
            "data": data.fingerprint("train"),
            "camera_order": data.camera_order,
        }
        save_weights(gqn, folder / "weights.safetensors", metadata)
        print(f"weights: {folder / 'weights.safetensors'}")
    return metrics
