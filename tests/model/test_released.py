"""The released architecture: parity with stored outputs, and refusal of what is not its state dict."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from gqn_probe.model import GQN, load_gqn
from gqn_probe.model.checkpoint import RELEASED_ON

FIXTURE = Path(__file__).parents[1] / "fixtures" / "released_gqn"


def sine(shape: tuple[int, ...], phase: float) -> np.ndarray:
    """The fixture's formula for weights and inputs, in float64."""
    return np.sin(0.7 * np.arange(np.prod(shape)) + 1.3 * phase).reshape(shape)


def inputs(shape: tuple[int, ...], phase: int, low: float) -> torch.Tensor:
    return torch.from_numpy(((sine(shape, phase) + 1) / 2 * (1 - low) + low).astype(np.float32))


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    shapes = json.loads((FIXTURE / "small_keys.json").read_text())
    tensors = {}
    for index, (name, shape) in enumerate(shapes.items()):
        fan = np.prod(shape[1:]) if len(shape) > 1 else 16
        scale = (1.5 if name.startswith("representation") else 4.0) / np.sqrt(fan)
        tensors[name] = torch.from_numpy((scale * sine(tuple(shape), index)).astype(np.float32))
    return tensors


def saved(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save(state, folder / "model-checkpoint.pth")
    return folder / "model-checkpoint.pth"


@pytest.mark.parametrize("prefix", ["", "module."])
def test_stored_outputs(tmp_path: Path, state: dict[str, torch.Tensor], prefix: str) -> None:
    path = saved(tmp_path, {prefix + name: value for name, value in state.items()})
    gqn = load_gqn(path, steps=3)
    assert gqn.input_spec == RELEASED_ON
    expected = np.load(FIXTURE / "expected.npz")
    frames, cameras = inputs((2, 3, 3, 64, 64), 101, low=0), inputs((2, 3, 7), 102, low=-1)
    query, camera = inputs((2, 3, 64, 64), 103, low=0), inputs((2, 7), 104, low=-1)
    with torch.no_grad():
        output = gqn(frames, cameras, query, camera, deterministic=True)
        sample = gqn.sample(frames, cameras, camera, deterministic=True)
    for name, value in (
        ("reconstruction", output.mean),
        ("representation", output.representation),
        ("kl", output.kl),
        ("sample", sample),
    ):
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_published_sizes() -> None:
    shapes = json.loads((FIXTURE / "release_keys.json").read_text())
    assert sum(np.prod(shape) for shape in shapes.values()) == 14_582_244
    with torch.device("meta"):
        gqn = released(shapes)
    assert sum(parameter.numel() for parameter in gqn.parameters()) == 14_582_244
    assert gqn.generator.steps == 8


def released(shapes: dict[str, list[int]]) -> GQN:
    from gqn_probe.model.released import released_settings

    return GQN.from_settings(released_settings({n: torch.empty(s) for n, s in shapes.items()}, steps=8))


def test_a_wrong_state_dict_is_refused_by_name(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    missing = {name: value for name, value in state.items() if "upsample" not in name}
    with pytest.raises(ValueError, match=re.escape("missing: generator.upsample.weight")):
        load_gqn(saved(tmp_path, missing))
    with pytest.raises(ValueError, match=re.escape("unexpected: optimizer.step")):
        load_gqn(saved(tmp_path, state | {"optimizer.step": torch.zeros(1)}))
    misshapen = state | {"generator.prior_density.bias": torch.zeros(15)}
    with pytest.raises(ValueError, match=re.escape("misshapen: generator.prior_density.bias (15,) instead of (16,)")):
        load_gqn(saved(tmp_path, misshapen))
    with pytest.raises(ValueError, match=re.escape("generator.upsample.weight (16,)")):
        load_gqn(saved(tmp_path, state | {"generator.upsample.weight": torch.zeros(16)}))
