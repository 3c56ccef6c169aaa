"""Checks the shapes and types of every annotated function of the package while tests run."""

import os
import signal
from typing import Any

import pytest
import torch
from jaxtyping import install_import_hook

os.environ.setdefault("WANDB_MODE", "offline")
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background job; tests interrupt processes
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Of one thread, so that results depend on no number of cores: tensors are small, and other cores other workers'.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
# An int is a float to callers (PEP 484), so it is to the checks.
hook = install_import_hook("gqn_probe", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the tests of a file to one worker, so that what they share is made once."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
