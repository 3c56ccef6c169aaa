"""Export of the best weights at the end of training, with their metrics and an orbit film."""

import logging
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as L
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, Timer
from pytorch_lightning.loggers import WandbLogger

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.sources.rendered import RenderedScenes
from gqn_probe.film import enlarged, labelled, save_film
from gqn_probe.model import GQN, load_gqn, save_weights
from gqn_probe.training.gqn_module import GQNModule, validation_metrics
from gqn_probe.training.novel_views import orbit_pictures

log = logging.getLogger(__name__)


class TrainingOutcome(NamedTuple):
    """Step and metrics of the exported weights, and metrics of the last weights."""

    steps: int  # step of the exported weights
    metrics: dict[str, float]  # of the exported weights; empty without a validation
    last_validation: dict[str, float]


def export_best_weights(trainer: L.Trainer, module: GQNModule, data: SceneDataModule, folder: Path) -> TrainingOutcome:
    """Write the weights of the best checkpoint, or without one the current ones, to ``weights.safetensors``."""
    last, last_step = validation_metrics(trainer), trainer.global_step
    outcome = TrainingOutcome(last_step, {}, last)
    if trainer.is_global_zero:
        gqn, monitored = module.gqn, monitoring_callback(trainer)
        if monitored is not None and (best := monitored.best_model_path):  # may be from before the run was resumed
            gqn = load_gqn(best)
            kept = torch.load(best, map_location="cpu", weights_only=True, mmap=True)
            outcome = TrainingOutcome(kept["global_step"], kept.get("validation", {}), last)
        metadata = {"steps": str(outcome.steps), "data": data.fingerprint("train")}
        if monitored is not None and monitored.monitor in outcome.metrics:
            metadata[monitored.monitor] = f"{outcome.metrics[monitored.monitor]:.6g}"
        save_weights(gqn, folder / "weights.safetensors", metadata)
        log.info("weights: %s (step %d, the best of %d)", folder / "weights.safetensors", outcome.steps, last_step)
        if isinstance(data.source, RenderedScenes):  # only these have a truth from any camera
            device = trainer.strategy.root_device  # Lightning moved the network away from it
            save_orbit_film(trainer, gqn.to(device), data, folder / "orbit.gif")
        log_if_out_of_time(trainer, folder)
    return outcome


def monitoring_callback(trainer: L.Trainer) -> ModelCheckpoint | None:
    """Return the callback that keeps the checkpoint with the best value of a metric, if there is one."""
    kept = (each for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint) and each.monitor)
    return next(kept, None)


def log_if_out_of_time(trainer: L.Trainer, folder: Path) -> None:
    """Log a line if ``trainer.max_time`` ended the run before its last step."""
    callbacks: list[L.Callback] = trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue]
    left = [each.time_remaining() for each in callbacks if isinstance(each, Timer)]
    late = any(seconds is not None and seconds <= 0 for seconds in left)
    if late and trainer.should_stop and trainer.global_step != trainer.max_steps:
        of = f" of {trainer.max_steps}" if trainer.max_steps > 0 else ""
        log.info(
            "stopped at step %d%s by trainer.max_time; to continue: python train.py resume=%s",
            trainer.global_step,
            of,
            folder,
        )


def save_orbit_film(trainer: L.Trainer, gqn: GQN, data: SceneDataModule, path: Path) -> None:
    """Write an animation of the camera around held-out objects, and log it to the W&B run."""
    columns = orbit_pictures(gqn, data, counts=(1, 3, 10), objects=4, positions=24)
    large = ([enlarged(each.numpy(), 2) for each in row] for row in zip(*columns.values(), strict=True))
    save_film([labelled(dict(zip(columns, row, strict=True))) for row in large], path)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_video("orbit", [str(path)], caption=[", ".join(columns)], format=["gif"])
