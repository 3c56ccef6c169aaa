"""Every preset builds, and its settings rebuild what computes the same."""

import json
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from gqn_probe.model import GQN

CONF = Path(__file__).parents[2] / "conf"
PRESETS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        *(pytest.param([f"model={n}"], marks=[pytest.mark.slow] if n == "paper" else [], id=n) for n in PRESETS),
        *(
            pytest.param(["model=paper", f"model/encoder={name}"], marks=pytest.mark.slow, id=f"paper {name}")
            for name in ("tower", "pyramid")
        ),
    ],
)
def test_preset(overrides: list[str]) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        # Small images and two steps: the paper's twelve cores have 565 million parameters at 64x64.
        small = ["model.generator.steps=2", "model.generator.size=16"]
        model = compose("train", [*overrides, *small]).model
    gqn = instantiate(model, _convert_="all")
    rebuilt = GQN.from_settings(json.loads(json.dumps(gqn.settings())))
    rebuilt.load_state_dict(gqn.state_dict())
    frames, cameras = torch.rand(1, 2, 3, 16, 16), torch.randn(1, 2, 7)
    with torch.no_grad():
        one, other = (each(frames, cameras, frames[:, 0], cameras[:, 0], deterministic=True) for each in (gqn, rebuilt))
    assert torch.equal(one.mean, other.mean)
    assert one.mean.isfinite().all()
    assert one.kl > 0
