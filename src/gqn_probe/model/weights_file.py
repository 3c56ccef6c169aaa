"""Read and write files of weights: model settings, tensors, input specification.

Only tensors and plain values are read; no code from a file is executed.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gqn_probe.atomic_io import write_tensors
from gqn_probe.inert_pickle import DAMAGE
from gqn_probe.model.gqn import GQN
from gqn_probe.model.input_spec import InputSpec
from gqn_probe.model.saved_tensors import SavedTensor, open_saved

PREFIX = "gqn."  # of the names of the network's tensors in a checkpoint
NEITHER = "it is neither a checkpoint of train.py nor a released state dict"


class Content(NamedTuple):
    """Content of a file of weights; a bare state dict has no settings."""

    settings: Any  # as read, not validated
    tensors: dict[str, Tensor]
    input_spec: InputSpec = InputSpec()


def read_weights(path: Path) -> Content:
    """Read exported weights (``.safetensors``), a checkpoint of ``train.py``, or a bare state dict.

    Raises:
        ValueError: the file is none of these, is damaged, or claims more data than it holds.
    """
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_saved(path)


def save_weights(gqn: GQN, path: str | os.PathLike[str], metadata: Mapping[str, str]) -> None:
    """Write weights, model settings, input specification and ``metadata`` (provenance) as safetensors."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in gqn.state_dict().items()}
    facts = {**metadata, **gqn.input_spec.facts(), "gqn_settings": json.dumps(gqn.settings())}
    write_tensors(Path(path), tensors, facts | {"sha256": _digest(facts, tensors)})


def weights_fingerprint(gqn: GQN) -> str:
    """Return a hex digest of architecture and weights, equal for equal models of any origin."""
    digest = hashlib.sha256(json.dumps(gqn.settings(), sort_keys=True).encode())
    _add_tensors(digest, gqn.state_dict())
    return digest.hexdigest()


def _digest(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Return the digest of metadata, without a digest in it, and tensors."""
    noted = {name: text for name, text in metadata.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(noted, sort_keys=True).encode())
    _add_tensors(digest, tensors)
    return digest.hexdigest()


def _add_tensors(digest: "hashlib._Hash", tensors: Mapping[str, Tensor]) -> None:
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data)


def _read_safetensors(path: Path) -> Content:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, *DAMAGE, ValueError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    if "gqn_settings" not in metadata:
        raise ValueError(f"{path} holds tensors but no model settings: export it with save_weights")
    if metadata.get("sha256", digest := _digest(metadata, tensors)) != digest:
        raise ValueError(f"{path} is damaged: its checksum is not the one written with it")
    try:
        return Content(json.loads(metadata["gqn_settings"]), tensors, InputSpec.from_facts(metadata))
    except (*DAMAGE, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _read_saved(path: Path) -> Content:
    with open_saved(path) as content:
        if isinstance(content, dict) and "gqn_settings" in content:
            state = {str(name): value for name, value in _mapping(content.get("state_dict")).items()}
            state = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
            spec = InputSpec.from_facts(_mapping(content.get("trained_on", {})))
            return Content(content["gqn_settings"], _read(state, path), spec)
        state = {str(name).removeprefix("module."): value for name, value in _mapping(content).items()}
        return Content(None, _read(state, path))


def _mapping(value: Any) -> dict:
    if not isinstance(value, dict):
        raise ValueError(NEITHER)
    return value


def _read(saved: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Read the tensors of an open file.

    Raises:
        ValueError, or one of ``DAMAGE``: an entry is not a tensor, or tensors claim more bytes than the file holds.
    """
    if not all(isinstance(value, SavedTensor) for value in saved.values()):
        raise ValueError(NEITHER)
    if (size := sum(value.storage.bytes for value in saved.values())) > (held := path.stat().st_size):
        raise ValueError(f"its tensors take {size:,} bytes, of which it holds {held:,}")
    return {name: value.read() for name, value in saved.items()}
