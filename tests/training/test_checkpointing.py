"""A checkpoint is the old one or the new one, never half of either; the last step is scored."""

import signal

import pytest
import pytorch_lightning as L
import torch
from fitting import fit
from tiny import tiny_module

from gqn_probe.training.checkpointing import AtomicCheckpoints, LastCheckpoint


class Validations(L.Callback):
    """The steps at which there was a validation."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.steps.append(trainer.global_step)


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "expected"), [(3, [2, 3]), (4, [2, 4])])
def test_a_run_that_ends_between_validations_is_validated(tmp_path, steps, expected):
    validations, last = Validations(), LastCheckpoint(str(tmp_path))
    settings = {"max_steps": steps, "val_check_interval": 2, "enable_checkpointing": True}
    fit(tiny_module(), tmp_path / "cache", callbacks=[validations, last], **settings)
    assert validations.steps == expected
    kept = torch.load(last.path, weights_only=True)
    assert (kept["global_step"], "val/sample/rmse" in kept["validation"]) == (steps, True)


def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path, writer = tmp_path / "checkpoints" / "last.ckpt", AtomicCheckpoints()
    writer.save_checkpoint({"step": 1}, path)

    def cut_off(checkpoint, unfinished):
        unfinished.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", cut_off)
    with pytest.raises(OSError, match="no space left"):
        writer.save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert list(path.parent.iterdir()) == [path]


class HandlersSeen(L.Callback):
    """The handlers of Ctrl-C and SIGTERM at the end of training."""

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.slow
def test_ctrl_c_stays_ignored_where_a_shell_ignores_it(tmp_path):
    seen, last = HandlersSeen(), LastCheckpoint(str(tmp_path))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        fit(tiny_module(), tmp_path / "cache", max_steps=1, callbacks=[last, seen], enable_checkpointing=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen.handlers == [signal.SIG_IGN, last._note]
