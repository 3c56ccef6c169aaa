"""What a run shows while it runs: pictures made as the metrics beside them are, and how far it is."""

import re

import pytest
import torch
from fitting import fit
from tiny import tiny_module

from gqn_probe import progress
from gqn_probe.training.callbacks import ImageGrid, TrainingProgress


@pytest.mark.slow
def test_pictures_have_the_precision_of_the_metrics(tmp_path):
    module, precisions = tiny_module(), []
    module.gqn.encoder.register_forward_hook(lambda encoder, frames, phi: precisions.append(phi.dtype))
    fit(module, tmp_path / "cache", precision="bf16-mixed", callbacks=[ImageGrid(str(tmp_path), scenes=2)])
    assert set(precisions) == {torch.bfloat16}
    assert (tmp_path / "0000002.png").exists()


@pytest.mark.slow
def test_a_log_tells_how_far_training_is(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    caplog.set_level("INFO", logger="gqn_probe")
    fit(tiny_module(), tmp_path / "cache", max_steps=3, val_check_interval=2, callbacks=[TrainingProgress()])
    lines = [message for message in caplog.messages if message.startswith(("training: ", "step "))]
    number = r"-?[\d.e+]+"
    wanted = [
        rf"training: 1 of 3 steps, about \d+ s left; loss {number}, KL {number}",
        rf"training: 2 of 3 steps, about \d+ s left; loss {number}, KL {number}",
        rf"step 2, \d+ s: nats above floor {number}, KL {number}, sample RMSE {number}, .*",
        r"training: 3 of 3 steps, about 0 s left; held-out RMSE .*, loss .*",
    ]
    assert len(lines) == 4
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(wanted, lines, strict=True)), lines
