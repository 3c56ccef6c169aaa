"""A checkpoint is the old one or the new one, never half of either."""

import pytest
import torch

from gqn_probe.training.checkpointing import AtomicCheckpoints


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
