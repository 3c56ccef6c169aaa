"""Files that hold a GQN: our checkpoints, exported weights, the bundled ones, and the released state dict.

No code from a file is ever run: tensors and plain values are read, and only our own classes are built.
"""

import hashlib
import json
import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gqn_probe.atomic_io import write_tensors
from gqn_probe.model.gqn import GQN
from gqn_probe.model.input_spec import InputSpec
from gqn_probe.model.released import RELEASED_NAMES, from_released, released_settings

PRETRAINED = Path(__file__).parents[1] / "weights" / "pretrained.safetensors"
# The released file does not tell:
NAMED = 5  # tensors, in an error
RELEASED_STEPS = 8
RELEASED_ON = InputSpec((64, 64), "cos_sin")


class Content(NamedTuple):
    """What a file holds; a bare state dict comes without settings."""

    settings: dict[str, Any] | None
    tensors: dict[str, Tensor]
    input_spec: InputSpec = InputSpec()


def load_gqn(path_or_name: str | os.PathLike[str], steps: int | None = None) -> GQN:
    """The model that a file holds, on the CPU and in evaluation mode.

    Args:
        path_or_name: a Lightning checkpoint (``.ckpt``), exported weights (``.safetensors``), the released
            ``model-checkpoint.pth``, or "pretrained", the weights that come with the package.
        steps: generator steps of the released model, 8 unless told; other files say themselves.

    Raises:
        ValueError: no such file, not a model, or a model that does not fit; the message says what is wrong.
    """
    path = weights_path(path_or_name)
    if not path.is_file():
        hint = "this installation has no bundled weights; train some" if path == PRETRAINED else "give a file"
        if path.is_dir():
            hint = f"it is a folder; give a file, such as {path / 'weights.safetensors'}"
        raise ValueError(f"no checkpoint at {path}: {hint}, or name the released model-checkpoint.pth")
    settings, tensors, input_spec = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if settings is None:
        return _load_released(tensors, RELEASED_STEPS if steps is None else steps, path)
    gqn = GQN.from_settings(settings)
    own = gqn.generator.steps
    if steps not in (None, own):
        raise ValueError(f"steps={steps}, but {path} holds a model of {own} generator steps: leave steps out")
    _refuse_misfit(tensors, {name: value.shape for name, value in gqn.state_dict().items()}, path)
    gqn.load_state_dict(tensors)
    gqn.input_spec = input_spec
    return gqn.eval()


def copy_weights(path_or_name: str | os.PathLike[str], gqn: GQN) -> None:
    """Give ``gqn`` the weights of a file of the same architecture, and what they know of their data.

    Raises:
        ValueError: the file holds no such model; names the tensors that do not fit.
    """
    trained = load_gqn(path_or_name)
    tensors = trained.state_dict()
    _refuse_misfit(tensors, {name: value.shape for name, value in gqn.state_dict().items()}, weights_path(path_or_name))
    gqn.load_state_dict(tensors)
    gqn.input_spec = trained.input_spec


def weights_path(path_or_name: str | os.PathLike[str]) -> Path:
    """The file that ``load_gqn`` reads, whether there is one or not."""
    return PRETRAINED if path_or_name == "pretrained" else Path(path_or_name)


def save_weights(gqn: GQN, path: str | os.PathLike[str], metadata: dict[str, str]) -> None:
    """Write weights and what rebuilds their model as safetensors; ``metadata`` travels along (provenance)."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in gqn.state_dict().items()}
    facts = {**gqn.input_spec.facts(), "gqn_settings": json.dumps(gqn.settings())}
    write_tensors(Path(path), tensors, {**metadata, **facts})


def weights_fingerprint(gqn: GQN) -> str:
    """A hex digest of architecture and weights: equal for equal models, wherever they came from."""
    digest = hashlib.sha256(json.dumps(gqn.settings(), sort_keys=True).encode())
    for name, value in sorted(gqn.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read_safetensors(path: Path) -> Content:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    if "gqn_settings" not in metadata:
        raise ValueError(f"{path} holds tensors but no model settings: export it with save_weights")
    return Content(json.loads(metadata["gqn_settings"]), tensors, InputSpec.from_facts(metadata))


def _read_torch(path: Path) -> Content:
    """A Lightning checkpoint of ours, or the released state dict."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of PyTorch, which advises to run the code
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is not a checkpoint that can be read without running its code") from error
    except (RuntimeError, EOFError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is not a checkpoint, or not all of one") from error
    if isinstance(content, Mapping) and "gqn_settings" in content:
        prefix = "gqn."
        state = content["state_dict"].items()
        tensors = {k.removeprefix(prefix): v for k, v in state if k.startswith(prefix)}
        return Content(content["gqn_settings"], tensors, InputSpec.from_facts(content.get("trained_on", {})))
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path} is neither a checkpoint of train.py nor a released state dict")
    return Content(None, {name.removeprefix("module."): value for name, value in content.items()})


def _load_released(tensors: dict[str, Tensor], steps: int, path: Path) -> GQN:
    _refuse_misfit(tensors, {name: None for theirs in RELEASED_NAMES.values() for name in theirs}, path)
    gqn = GQN.from_settings(released_settings(tensors, steps))
    expected: dict[str, tuple[int, ...] | None] = {}
    for ours, value in gqn.state_dict().items():
        parts = RELEASED_NAMES[ours]
        expected |= {name: (value.shape[0] // len(parts), *value.shape[1:]) for name in parts}
    _refuse_misfit(tensors, expected, path)
    gqn.load_state_dict(from_released(tensors))
    gqn.input_spec = RELEASED_ON
    return gqn.eval()


def _refuse_misfit(tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...] | None], path: Path) -> None:
    """Refuse tensors whose names or shapes (where one is expected) differ, and name some."""
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
