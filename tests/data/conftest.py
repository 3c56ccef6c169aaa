"""Fixtures of tests of data."""

from pathlib import Path

import pytest
from made_files import Make

FIXTURES = Path(__file__).parents[1] / "fixtures"


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
