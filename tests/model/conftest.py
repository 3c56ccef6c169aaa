"""Small models and scenes for the tests of the model."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from gqn_probe.model import GQN

PRESETS = Path(__file__).parents[2] / "conf" / "model"


@pytest.fixture
def points_gqn() -> GQN:
    """``model=points`` as its YAML has it, newly initialised, in evaluation mode."""
    config = OmegaConf.create({"model": OmegaConf.load(PRESETS / "points.yaml")})
    return instantiate(config.model, _convert_="all").eval()


@pytest.fixture
def scenes() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Three scenes of 32x32: context frames and cameras of five views, query frames and cameras."""
    return torch.rand(3, 5, 3, 32, 32), torch.randn(3, 5, 7), torch.rand(3, 3, 32, 32), torch.randn(3, 7)
