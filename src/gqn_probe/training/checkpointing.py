"""Checkpoints to resume training from: after each validation, at the end, and on a signal."""

import logging
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as L
import torch
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from gqn_probe.atomic_io import atomic_write

log = logging.getLogger(__name__)


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoint IO that writes atomically: a killed run leaves the old checkpoint or the new one.

    Lightning's own writes to the system's temporary folder, and copies from there if that is another file system.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(Path(path)) as draft:
            torch.save(checkpoint, draft)


class LastCheckpoint(Checkpoint):
    """Writes ``folder/last.ckpt`` after each validation, after the last step, when time is up, and on a signal.

    On Ctrl-C, SIGTERM or SIGUSR1, which schedulers send before they reclaim a machine, the current step is finished
    and saved, and the process exits with status 128 + signal; a second Ctrl-C interrupts at once. Lightning calls
    checkpoint callbacks after all others, so averaged weights include the step.
    """

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / "last.ckpt"
        self.signal: int | None = None
        self.stop = False
        self.early = False  # the last validation was early, because the run ended

    def state_dict(self) -> dict[str, bool]:
        return {"early": self.early}

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        states: dict[str, Any] = checkpoint["callbacks"]
        if states.get(self.state_key, {}).get("early"):
            # Otherwise Lightning does not count the step before it and logs the next one under its number.
            checkpoint["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"] += 1
        # trainer.max_time limits one run: drop the time that earlier ones took.
        kept = {name: state for name, state in states.items() if not name.startswith("Timer")}
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.dirpath and callback.state_key in kept:
                kept[callback.state_key] = _moved(kept[callback.state_key], Path(callback.dirpath))
        checkpoint["callbacks"] = kept

    def on_train_start(self, *args: Any, **kwargs: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                if signal.getsignal(number) != signal.SIG_IGN:  # Ctrl-C is not for the background jobs of a script
                    signal.signal(number, self._note)

    def teardown(self, *args: Any, **kwargs: Any) -> None:
        self._restore_interrupts()  # Lightning restores the other handlers

    def _note(self, number: int, frame: Any) -> None:
        self.signal = number
        self._restore_interrupts()

    def _restore_interrupts(self) -> None:
        if signal.getsignal(signal.SIGINT) == self._note:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        self.stop = self._told_to_stop(trainer)
        if trainer.global_step == trainer.max_steps:
            trainer.should_stop = True  # makes Lightning validate the last weights before it stops
        if self.stop or trainer.should_stop:
            trainer.save_checkpoint(self.path)

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        if self.stop:  # only now are the logs of the last step on disk
            self._end(trainer)

    def on_validation_end(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.sanity_checking:
            return
        due = (trainer.fit_loop.total_batch_idx + 1) % (trainer.val_check_batch or 1) == 0
        self.early = trainer.should_stop and not due
        trainer.save_checkpoint(self.path)
        if self._told_to_stop(trainer):
            self._end(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Add the last good checkpoint to the message of a non-finite loss."""
        if isinstance(exception, FloatingPointError):
            kept = self.path if self.path.exists() else "none yet"
            exception.args = (f"{exception}; last good checkpoint: {kept}",)

    def _told_to_stop(self, trainer: L.Trainer) -> bool:
        """Return True if a signal reached any of the processes."""
        return trainer.strategy.reduce_boolean_decision(self.signal is not None, all=False)

    def _end(self, trainer: L.Trainer) -> None:
        if not trainer.is_global_zero:
            raise SystemExit(0)
        number = signal.Signals(self.signal or signal.SIGTERM)
        done, run = trainer.global_step, self.path.parent.parent
        log.info("stopped by %s after step %d; to continue: python train.py resume=%s", number.name, done, run)
        raise SystemExit(128 + number)


def _moved(state: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the state of a ModelCheckpoint for its files in ``folder``, where a run was moved or copied to.

    Lightning would forget the best score, and delete a file of the old folder at the next better one.
    """
    paths = {
        name: path and str(folder / Path(path).name) for name, path in state.items() if name.endswith("model_path")
    }
    best = {str(folder / Path(path).name): score for path, score in state["best_k_models"].items()}
    return {**state, **paths, "best_k_models": best, "dirpath": str(folder)}
