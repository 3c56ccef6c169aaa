"""Pictures are made as the metrics beside them are."""

import torch
from fitting import fit
from tiny import tiny_module

from gqn_probe.training.callbacks import ImageGrid


def test_pictures_have_the_precision_of_the_metrics(tmp_path):
    module, precisions = tiny_module(), []
    module.gqn.encoder.register_forward_hook(lambda encoder, frames, phi: precisions.append(phi.dtype))
    fit(module, tmp_path / "cache", precision="bf16-mixed", callbacks=[ImageGrid(str(tmp_path), scenes=2)])
    assert set(precisions) == {torch.bfloat16}
    assert (tmp_path / "0000002.png").exists()
