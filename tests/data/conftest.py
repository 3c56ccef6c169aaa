"""Fixtures of tests of data."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from made_files import Make

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from threads, which other processes on the machine would slow down."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for tests that only read, so that what is the same is rendered once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def fixtures() -> Path:
    return FIXTURES


@pytest.fixture
def make() -> Make:
    return Make()
