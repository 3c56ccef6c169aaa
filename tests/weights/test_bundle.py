"""Weights in half precision: smaller, and nearly the same."""

from pathlib import Path

import pytest
import torch
from tiny import tiny_module

from gqn_probe import load_gqn
from gqn_probe.model import InputSpec, save_weights
from gqn_probe.weights import bundle as module
from gqn_probe.weights.bundle import bundle


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    gqn = tiny_module().gqn
    gqn.input_spec = InputSpec((16, 16), "sin_cos")
    save_weights(gqn, tmp_path / "weights.safetensors", {"steps": "3"})
    return tmp_path / "weights.safetensors"


def test_bundled_weights_are_half_the_size_and_load_as_they_were(exported: Path, tmp_path: Path) -> None:
    path = bundle(exported, tmp_path / "bundled.safetensors")
    assert path.stat().st_size < 0.7 * exported.stat().st_size
    whole, half = load_gqn(exported), load_gqn(path)
    assert half.input_spec == whole.input_spec == InputSpec((16, 16), "sin_cos")
    for name, value in half.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, whole.state_dict()[name], rtol=1e-3, atol=1e-6)


def test_a_model_too_large_for_a_package_is_refused(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 1000)
    with pytest.raises(ValueError, match="MB in half precision, more than"):
        bundle(exported)
