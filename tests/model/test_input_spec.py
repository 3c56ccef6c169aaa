"""What weights were trained on travels with them, and other data is refused."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gqn_probe.data.stimuli.scene_renderer import DEFAULT_LENS
from gqn_probe.model import GQN, InputSpec, load_gqn, save_weights
from gqn_probe.model.checkpoint import RELEASED_ON


@pytest.mark.parametrize("facts", [InputSpec((32, 48), "sin_cos"), InputSpec(None, "cos_sin"), InputSpec()])
def test_files_keep_it(tmp_path: Path, points_gqn: GQN, facts: InputSpec) -> None:
    points_gqn.input_spec = facts
    save_weights(points_gqn, tmp_path / "weights.safetensors", metadata={"steps": "3"})
    assert load_gqn(tmp_path / "weights.safetensors").input_spec == facts
    state = {f"gqn.{name}": value for name, value in points_gqn.state_dict().items()}
    content = {"state_dict": state, "gqn_settings": points_gqn.settings(), "trained_on": facts.facts()}
    torch.save(content, tmp_path / "best.ckpt")
    assert load_gqn(tmp_path / "best.ckpt").input_spec == facts


def test_files_of_before_load_without(tmp_path: Path, points_gqn: GQN) -> None:
    points_gqn.input_spec = InputSpec((32, 32), "cos_sin")
    save_weights(points_gqn, tmp_path / "new.safetensors", metadata={})
    with safe_open(tmp_path / "new.safetensors", framework="pt") as file:
        metadata = {"gqn_settings": file.metadata()["gqn_settings"]}
    save_file(points_gqn.state_dict(), tmp_path / "old.safetensors", metadata)
    assert load_gqn(tmp_path / "old.safetensors").input_spec == InputSpec()
    state = {f"gqn.{name}": value for name, value in points_gqn.state_dict().items()}
    torch.save({"state_dict": state, "gqn_settings": points_gqn.settings()}, tmp_path / "old.ckpt")
    assert load_gqn(tmp_path / "old.ckpt").input_spec == InputSpec()


def test_bundled_and_released_weights_are_for_64_pixels_and_the_cosine_first() -> None:
    bundled = load_gqn("pretrained").input_spec
    assert bundled[:2] == RELEASED_ON[:2] == ((64, 64), "cos_sin")
    assert bundled.lens == DEFAULT_LENS


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            InputSpec((64, 64), "cos_sin"),
            "the weights were trained on frames of 32x32, the data has 64x64: add data.size=32$",
        ),
        (InputSpec((32, 64), "cos_sin"), "the data has 32x64: add data.size=32$"),
        (
            InputSpec((32, 32), "sin_cos"),
            "trained on cameras in the order cos_sin, the data has sin_cos: add data.camera_order=cos_sin$",
        ),
    ],
)
def test_other_data_is_refused_with_the_override_to_use(data: InputSpec, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InputSpec((32, 32), "cos_sin").check(data)


def test_frames_that_no_override_makes_are_described() -> None:
    with pytest.raises(ValueError, match="trained on frames of 48x64, the data has 64x64: give it frames of 48x64"):
        InputSpec((48, 64)).check(InputSpec((64, 64)))


def test_what_is_the_same_or_unknown_is_taken() -> None:
    known = InputSpec((32, 32), "cos_sin")
    known.check(known)
    known.check(InputSpec())
    InputSpec().check(known)
