"""Load a GQN from a training checkpoint, exported or bundled weights, or the released state dict.

The model is first built without memory for its weights, and its shapes are compared with the file's tensors.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from gqn_probe.choices import nearest
from gqn_probe.inert_pickle import DAMAGE
from gqn_probe.model.gqn import GQN
from gqn_probe.model.input_spec import InputSpec
from gqn_probe.model.released import RELEASED_NAMES, from_released, released_settings
from gqn_probe.model.weights_file import read_weights

PRETRAINED = Path(__file__).parents[1] / "weights" / "pretrained.safetensors"
NAMED = 5  # tensors listed in an error message
SPARE = 1000  # parameters beyond twice those of the file at which building the model is stopped
# Not stored in the released file:
RELEASED_STEPS = 8
RELEASED_ON = InputSpec((64, 64), "cos_sin")
NUMBERS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def load_gqn(path_or_name: str | os.PathLike[str], steps: int | None = None) -> GQN:
    """Return the model of a file, on the CPU and in evaluation mode.

    Args:
        path_or_name: a Lightning checkpoint (``.ckpt``), exported weights (``.safetensors``), the released
            ``model-checkpoint.pth``, or "pretrained", the weights that come with the package.
        steps: generator steps of the released model, 8 by default; other files state their own.

    Raises:
        ValueError: there is no such file, or it is not a valid model; the message says what is wrong.
    """
    path = weights_path(path_or_name)
    if not path.is_file():
        hint = "this installation has no bundled weights; train some" if path == PRETRAINED else "give a file"
        if path.is_dir():
            hint = f"it is a folder; give a file, such as {path / 'weights.safetensors'}"
        meant = nearest(path_or_name, ["pretrained"])
        raise ValueError(f"no checkpoint at {path}: {meant}{hint}, or the released model-checkpoint.pth")
    settings, tensors, input_spec = read_weights(path)
    released = settings is None
    if released:
        _check_shapes(tensors, {name: None for theirs in RELEASED_NAMES.values() for name in theirs}, path)
        try:
            settings, input_spec = released_settings(tensors, RELEASED_STEPS if steps is None else steps), RELEASED_ON
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    gqn = without_weights(settings, len(tensors), path)
    if steps not in (None, gqn.generator.steps):
        raise ValueError(
            f"steps={steps}, but {path} holds a model of {gqn.generator.steps} generator steps: leave steps out"
        )
    expected = {name: value.shape for name, value in gqn.state_dict().items()}
    _check_shapes(tensors, _released_shapes(expected) if released else expected, path)
    tensors = from_released(tensors) if released else tensors
    _check_values(tensors, gqn, path)
    own = gqn.state_dict()
    gqn.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()}, assign=True)
    gqn.input_spec = input_spec
    return gqn.eval()


def copy_weights(path_or_name: str | os.PathLike[str], gqn: GQN) -> None:
    """Copy weights and input specification of a file of the same architecture to ``gqn``.

    Raises:
        ValueError: the file has another architecture; names the tensors that differ.
    """
    trained = load_gqn(path_or_name)
    tensors = trained.state_dict()
    _check_shapes(tensors, {name: value.shape for name, value in gqn.state_dict().items()}, weights_path(path_or_name))
    gqn.load_state_dict(tensors)
    gqn.input_spec = trained.input_spec


def weights_path(path_or_name: str | os.PathLike[str]) -> Path:
    """Return the path that ``load_gqn`` reads, which need not exist."""
    return PRETRAINED if path_or_name == "pretrained" else Path(path_or_name)


def without_weights(settings: Any, tensors: int, path: Path) -> GQN:
    """Return the model of ``settings`` on the meta device.

    Raises:
        ValueError: the settings are not those of a model, or of one with many more parameters than the file.
    """
    made = 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal made
        made += 1
        if made > SPARE + 2 * tensors:  # some layers register parameters that they replace
            raise ValueError(f"they describe a model of many more tensors than the {tensors} of the file")

    counting = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):  # of layers without channels
            return GQN.from_settings(settings)
    except (*DAMAGE, ValueError) as error:
        raise ValueError(f"{path} holds settings of no model: {error}") from error
    finally:
        counting.remove()


def _released_shapes(expected: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return expected shapes by released name; several released tensors make up one of ours."""
    return {
        name: (shape[0] // len(RELEASED_NAMES[ours]), *shape[1:])
        for ours, shape in expected.items()
        for name in RELEASED_NAMES[ours]
    }


def _check_values(tensors: Mapping[str, Tensor], gqn: GQN, path: Path) -> None:
    """Raise ValueError for dtypes other than the model's (floating precision may differ) and non-finite numbers."""
    for name, own in gqn.state_dict().items():
        value = tensors[name]
        if value.dtype not in (NUMBERS if own.is_floating_point() else (own.dtype,)):
            raise ValueError(f"{path} does not fit the model; {name} is {value.dtype} instead of {own.dtype}")
        if not torch.isfinite(value).all():
            raise ValueError(f"{path} is damaged, or its training went wrong: {name} holds NaN or infinity")


def _check_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...] | None], path: Path) -> None:
    """Raise ValueError, listing some, if names or shapes of tensors differ; a shape of None is not compared."""
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(shape)}"
        for name, shape in expected.items()
        if shape is not None and name in tensors and tensors[name].shape != shape
    ]
    wrong = {
        "missing": [name for name in expected if name not in tensors],
        "unexpected": [name for name in tensors if name not in expected],
        "misshapen": misshapen,
    }
    if any(wrong.values()):
        details = "; ".join(f"{what}: {_listed(names)}" for what, names in wrong.items() if names)
        raise ValueError(f"{path} does not fit the model; {details}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
