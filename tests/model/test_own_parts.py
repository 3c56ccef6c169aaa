"""An encoder and a generator core of one's own, from outside the package: trained, saved, loaded, sampled."""

from pathlib import Path

import pytest
import torch
from fitting import fit
from own_parts import Patches, pointwise
from tiny import SIZE, tiny_module
from torch import nn

from gqn_probe.model import GQN, Encoder, load_gqn, save_weights
from gqn_probe.model.conv_lstm import CORES, core


class Forgetful(Patches):
    """What it is made of depends on more than its arguments."""

    made = 0

    def __init__(self, *, channels: int) -> None:
        super().__init__(channels=channels)
        Forgetful.made += 1
        self.extra = nn.Linear(1, Forgetful.made)


def with_parts(encoder: type[Encoder], **generator: str) -> GQN:
    settings = tiny_module().gqn.settings()
    own = {"encoder": {"class": encoder.__name__, "channels": 8}, "generator": settings["generator"] | generator}
    return GQN.from_settings(settings | own)


@pytest.mark.slow
def test_an_encoder_and_a_core_of_ones_own_are_trained_saved_loaded_and_sampled(tmp_path: Path) -> None:
    core(pointwise)
    try:
        module = tiny_module()
        module.gqn = with_parts(Patches, core="pointwise")
        trainer = fit(module, tmp_path / "cache", limit_val_batches=0)
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        save_weights(load_gqn(tmp_path / "last.ckpt"), tmp_path / "weights.safetensors", metadata={})
        loaded = load_gqn(tmp_path / "weights.safetensors")
        frames, cameras = torch.rand(2, 3, 3, SIZE, SIZE), torch.randn(2, 3, 7)
        own = module.gqn.eval()
        image = loaded.sample(frames, cameras, cameras[:, 0], deterministic=True)
        torch.testing.assert_close(image, own.sample(frames, cameras, cameras[:, 0], deterministic=True))
        assert isinstance(loaded.encoder, Patches)
        assert list(loaded.encoder.layers(frames[0], cameras[0])) == ["patches"]
    finally:
        del CORES["pointwise"]


@pytest.mark.slow
def test_a_network_that_could_not_be_loaded_again_is_refused_before_the_first_step(tmp_path: Path) -> None:
    module = tiny_module()
    module.gqn = with_parts(Forgetful)
    with pytest.raises(ValueError, match=r"GQN rebuilt from its settings has another encoder\.extra"):
        fit(module, tmp_path / "cache", limit_val_batches=0)
