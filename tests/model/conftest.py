"""Small models and scenes for the tests of the model."""

import functools
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor

from gqn_probe.model import GQN

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def points_gqn() -> GQN:
    """``model=points`` as its YAML has it, newly initialised, in evaluation mode."""
    return instantiate(_composed().model, _convert_="all").eval()


@functools.cache
def _composed() -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", ["model=points"])


@pytest.fixture
def scenes() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Three scenes of 32x32: context frames and cameras of five views, query frames and cameras."""
    return torch.rand(3, 5, 3, 32, 32), torch.randn(3, 5, 7), torch.rand(3, 3, 32, 32), torch.randn(3, 7)
