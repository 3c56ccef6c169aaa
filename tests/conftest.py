"""Checks the shapes and types of every annotated function of the package while tests run."""

import os

import pytest
import torch
from jaxtyping import install_import_hook

os.environ.setdefault("WANDB_MODE", "offline")
hook = install_import_hook("gqn_probe", "beartype.beartype")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
