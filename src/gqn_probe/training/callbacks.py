"""Callbacks that report on a training run: grids of predictions, throughput, progress."""

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as L
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor

from gqn_probe.film import enlarged, labelled
from gqn_probe.progress import progress
from gqn_probe.training.gqn_module import GQNModule
from gqn_probe.training.metrics import held_out_episode
from gqn_probe.types import Batch

log = logging.getLogger(__name__)
WIDTH = 128  # pixels of an enlarged image
VALIDATED = {  # metrics in the line of a validation
    "nats above floor": "val/nats_above_floor",
    "KL": "val/kl",
    "sample RMSE": "val/sample/rmse",
    "RMSE from another scene": "val/shuffled/rmse",
    "colour cosine": "val/sample/color_cosine",
    "colour cosine from another scene": "val/shuffled/color_cosine",
}


class ImageGrid(L.Callback):
    """Writes a grid of held-out scenes at each validation: truth, and predictions from more and more views.

    The grid is saved to ``folder/STEP.png`` and logged to the W&B run, if there is one.
    """

    def __init__(self, folder: str, scenes: int) -> None:
        self.folder = Path(folder)
        self.scenes = scenes

    def on_validation_batch_end(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, trainer: L.Trainer, pl_module: GQNModule, outputs: Any, batch: Batch, batch_idx: int, *args: Any
    ) -> None:
        if batch_idx or not trainer.is_global_zero:
            return
        with trainer.precision_plugin.val_step_context():  # Lightning calls hooks outside this context
            columns = prediction_grid(pl_module, Batch(*(field[: self.scenes] for field in batch)))
        self.folder.mkdir(parents=True, exist_ok=True)
        image = labelled_columns(columns)
        image.save(self.folder / f"{trainer.global_step:07d}.png")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                caption = ", ".join(columns)
                logger.log_image("val/predictions", [np.asarray(image)], trainer.global_step, caption=[caption])


@torch.no_grad()
def prediction_grid(module: GQNModule, batch: Batch) -> dict[str, Float[Tensor, "b c h w"]]:
    """Return the columns of the grid by title, in 0..1: context view, truth, samples by count, posterior mean."""
    frames, gqn = batch.frames, module.gqn
    counts = [count for count in module.prediction.counts if count < frames.shape[1]]
    widest = held_out_episode(batch, max(counts))
    phi = gqn.encode(widest.context_frames, widest.context_cameras)
    truth, camera = widest.query_frames[:, 0], widest.query_cameras[:, 0]
    size = truth.shape[-2], truth.shape[-1]

    def draw(representation: Tensor) -> Tensor:
        return gqn.sample_from(representation, camera, size=size)

    reference = gqn.aggregate(phi[:, : module.reference_count])
    columns = {"a context view": widest.context_frames[:, 0], "truth": truth}
    columns |= {f"{count} view{'s' * (count > 1)}": draw(gqn.aggregate(phi[:, :count])) for count in counts}
    columns["other scene"] = draw(reference.roll(1, dims=0))
    columns["posterior"] = gqn.predict(reference, truth, camera).mean
    return {name: images.float().clamp(0, 1) for name, images in columns.items()}


def labelled_columns(columns: Mapping[str, Float[Tensor, "b c h w"]]) -> Image.Image:
    """Return a picture of the columns side by side under their titles, each image about ``WIDTH`` pixels wide."""
    pixels = {name: rearrange(images, "row c h w -> (row h) w c") for name, images in columns.items()}
    shown = {name: (255 * each).round().byte().cpu().numpy() for name, each in pixels.items()}
    times = max(1, WIDTH // next(iter(shown.values())).shape[1])
    return Image.fromarray(labelled({name: enlarged(each, times) for name, each in shown.items()}))


class Throughput(L.Callback):
    """Logs ``train/scenes_per_second`` and ``train/query_images_per_second`` of all devices, without validation."""

    def on_train_start(self, *args: Any, **kwargs: Any) -> None:
        self.started, self.scenes = time.monotonic(), 0

    on_validation_end = on_train_start

    def on_train_batch_end(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, trainer: L.Trainer, pl_module: GQNModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.scenes += len(batch.scenes) * trainer.world_size
        every = trainer.log_every_n_steps  # pyright: ignore[reportAttributeAccessIssue]
        if every and trainer.global_step % every == 0:  # 0 logs nothing
            rate = self.scenes / (time.monotonic() - self.started)
            pl_module.log("train/scenes_per_second", rate)
            pl_module.log("train/query_images_per_second", rate * pl_module.queries_now)
            self.on_train_start()


class TrainingProgress(L.Callback):
    """Shows a progress bar with loss, KL and held-out error (off a terminal a line each minute); logs validations."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.open = ExitStack()
        self.held_out = ""

    def on_train_start(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.is_global_zero:
            total = trainer.max_steps if trainer.max_steps > 0 else None
            self.bar = self.open.enter_context(progress("training", total, "steps", done=trainer.global_step))
            self.shown = 0.0

    def on_train_batch_end(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, trainer: L.Trainer, pl_module: GQNModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if not trainer.is_global_zero:
            return
        if time.monotonic() > self.shown + 1:  # reading a value from a GPU waits for it
            self.shown = time.monotonic()
            shown = [f"{name} {float(pl_module.logged[key]):.4g}" for name, key in (("loss", "loss"), ("KL", "kl"))]
            self.bar.note = ", ".join(filter(None, [self.held_out, *shown]))
        self.bar(trainer.global_step - self.bar.done)

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        self.open.close()

    on_exception = on_train_end

    def on_validation_end(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.is_global_zero and not trainer.sanity_checking:
            values = trainer.callback_metrics
            numbers = ", ".join(f"{label} {values[key]:.3g}" for label, key in VALIDATED.items() if key in values)
            log.info("step %d, %.0f s: %s", trainer.global_step, time.monotonic() - self.started, numbers)
            if "val/sample/rmse" in values:
                self.held_out = f"held-out RMSE {values['val/sample/rmse']:.3g}"
                self.shown = 0.0  # the next step shows it
