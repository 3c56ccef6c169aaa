"""Every preset builds, and its settings rebuild what computes the same."""

import json
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from gqn_probe.model import GQN

PRESETS = Path(__file__).parents[2] / "conf" / "model"


@pytest.mark.parametrize("preset", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_preset(preset: Path) -> None:
    config = OmegaConf.create({"model": OmegaConf.load(preset)})
    config.model.generator.steps = 2  # as deep as needed: the paper's 12 cores have 565 million parameters
    gqn = instantiate(config.model)
    rebuilt = GQN.from_settings(json.loads(json.dumps(gqn.settings())))
    rebuilt.load_state_dict(gqn.state_dict())
    frames, cameras = torch.rand(1, 2, 3, 64, 64), torch.randn(1, 2, 7)
    with torch.no_grad():
        one, other = (
            model(frames, cameras, frames[:, 0], cameras[:, 0], deterministic=True) for model in (gqn, rebuilt)
        )
    assert torch.equal(one.mean, other.mean)
    assert one.mean.isfinite().all()
    assert one.kl > 0
