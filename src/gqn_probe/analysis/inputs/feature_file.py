"""Per-view features of another network, such as DINOv2, read from a file; their sum over views takes the place of r.

Formats: ``.npz``, ``.h5`` (h5py) and ``.safetensors``. The array ``features`` has axes scene, view, feature; further
arrays with the same first two axes are layers. ``names`` holds the scenes' names: an array of strings, in safetensors
a JSON list in the metadata, or the lines of ``NAME.txt`` beside the file. See docs/other_networks.md.
"""

import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gqn_probe.model import GQN

FEATURES, NAMES = "features", "names"
WHOLE = "whole"  # the read-out whose sum stands in for r
ALIASES = (WHOLE, "pooled", "representation")  # a file has no positions to pool, so all are the same numbers
MIN_SCENES = 4  # needed for a split and for an RDM
READ_SCENES = 256  # at a time


@dataclass(frozen=True)
class FeatureFile:
    """Features of every view of some scenes, used in place of a network."""

    path: Path
    scenes: tuple[str, ...]
    arrays: Mapping[str, Float[Tensor, "s v f"]]  # by read-out: ``whole``, and ``layer.NAME`` of other arrays
    has_images: bool = True  # images and cameras of the scenes are available as read-outs
    aggregation: str = "sum"

    @property
    def views(self) -> int:
        """Number of views a scene."""
        return self.arrays[WHOLE].shape[1]

    @property
    def readouts(self) -> list[str]:
        """Names of the read-out points."""
        return [*self.arrays, *(("pixels", "cameras") if self.has_images else ())]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of names and arrays, in hex."""
        digest = hashlib.sha256(json.dumps(self.scenes).encode())
        for name, array in self.arrays.items():
            digest.update(f"{name} {tuple(array.shape)}".encode() + array.numpy().tobytes())
        return digest.hexdigest()

    def features(self, name: str) -> Float[Tensor, "s v f"]:
        """Return a read-out of every view."""
        return self.arrays[WHOLE if name in ALIASES else name]

    def first(self, scenes: int) -> "FeatureFile":
        """Return a copy with the first ``scenes`` scenes."""
        arrays = {name: array[:scenes] for name, array in self.arrays.items()}
        return FeatureFile(self.path, self.scenes[:scenes], arrays, self.has_images)


Network = GQN | FeatureFile


def read_names(path: str | Path) -> tuple[str, ...]:
    """Return the names of a file's scenes, in the file's order.

    Raises:
        ValueError: see ``read_features``.
    """
    with _open(Path(path)) as (arrays, names):
        _validate(Path(path), arrays, names)
        return names


def read_features(path: str | Path, wanted: Sequence[str] | None = None, *, has_images: bool = True) -> FeatureFile:
    """Read the features of the scenes ``wanted``, in that order; None reads all.

    Raises:
        ValueError: the file is missing or of an unknown format, lacks names or features, or holds values that are not
            finite.
    """
    path = Path(path)
    with _open(path) as (arrays, names):
        main = _validate(path, arrays, names)
        places = {name: place for place, name in enumerate(names)}
        rows = np.array([places[name] for name in (names if wanted is None else wanted)], dtype=np.int64)
        found = {WHOLE: _rows(arrays[main], rows, f"{path}: {main}")}
        for name in arrays:
            if name != main:
                found[f"layer.{name}"] = _rows(arrays[name], rows, f"{path}: {name}")
    return FeatureFile(path, tuple(names[row] for row in rows), found, has_images)


def shared_scenes(path: str | Path, scenes: Sequence[str], most: int) -> Int[Tensor, " s"]:
    """Return the indices of the first ``most`` of ``scenes`` that a file has features of.

    Raises:
        ValueError: the file shares fewer than four scenes.
    """
    known = {*read_names(path)}
    rows = [row for row, name in enumerate(scenes) if name in known]
    if len(rows) < MIN_SCENES:
        raise ValueError(
            f"features={path} shares {len(rows)} names with the scenes, at least {MIN_SCENES} are needed: it has "
            f"{', '.join(sorted(known)[:3])}, ..., the scenes are {', '.join(scenes[:3])}, ..."
        )
    return torch.tensor(rows[:most])


def _validate(path: Path, arrays: Mapping[str, Any], names: Sequence[str]) -> str:
    """Check shapes and names; return the name of the array that is summed over views."""
    if not arrays:
        raise ValueError(f"features={path} holds no numbers: save an array of scenes, views and numbers as {FEATURES}")
    main = FEATURES if FEATURES in arrays else next(iter(arrays)) if len(arrays) == 1 else None
    if main is None:
        raise ValueError(f"features={path} has {', '.join(arrays)}: call what is summed {FEATURES}, others are layers")
    for name, array in arrays.items():
        shape = tuple(array.shape)
        if len(shape) < 3 or 0 in shape:
            raise ValueError(f"features={path}: {name} has shape {shape}, expected scenes, views and numbers")
        if shape[:2] != tuple(arrays[main].shape)[:2]:
            raise ValueError(
                f"features={path}: {name} is of {shape[0]} scenes of {shape[1]} views, {main} of "
                f"{arrays[main].shape[0]} of {arrays[main].shape[1]}"
            )
    scenes = arrays[main].shape[0]
    if not names:
        raise ValueError(
            f"features={path} does not say which scene is which: add an array {NAMES} of their names, or a file "
            f"{path.with_suffix('.txt').name} with one a line"
        )
    if len(names) != scenes:
        raise ValueError(f"features={path} has {len(names)} names for {scenes} scenes")
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"features={path} has the scene {twice} twice")
    return main


def _rows(array: Any, rows: Int[np.ndarray, " s"], where: str) -> Float[Tensor, "s v f"]:
    """Read the scenes ``rows`` of an array in chunks, in the file's order."""
    found = torch.empty(len(rows), array.shape[1], int(np.prod(array.shape[2:])))
    order = np.argsort(rows, kind="stable")
    for start in range(0, len(rows), READ_SCENES):
        places = order[start : start + READ_SCENES]
        part = array[int(rows[places[0]]) : int(rows[places[-1]]) + 1]
        part = np.asarray(part)[rows[places] - rows[places[0]]]
        if part.dtype.kind not in "fiu":
            raise ValueError(f"features={where} is of type {part.dtype}, expected numbers")
        values = torch.from_numpy(part.reshape(len(places), array.shape[1], -1).astype(np.float32))
        if not bool(values.isfinite().all()):
            raise ValueError(f"features={where} holds numbers that are not finite")
        found[torch.from_numpy(places)] = values
    return found


@contextmanager
def _open(path: Path) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """Open a file; yield its arrays by name, which are read by slices, and the names of its scenes."""
    openers: dict[str, Callable[[Path], Any]] = {
        ".npz": _npz,
        ".h5": _hdf5,
        ".hdf5": _hdf5,
        ".safetensors": _safetensors,
    }
    if path.suffix not in openers:
        raise ValueError(f"features={path} has an unknown format: use {', '.join(openers)}")
    if not path.is_file():
        raise ValueError(f"features={path} does not exist: name a file of features")
    try:
        with openers[path.suffix](path) as (arrays, names):
            yield arrays, names or _read_lines(path.with_suffix(".txt"))
    except (OSError, BadZipFile, SafetensorError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"features={path} cannot be read: {error}") from error


@contextmanager
def _npz(path: Path) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except ValueError as error:  # no zip, or objects, which NumPy keeps as pickle
        raise ValueError(f"features={path} cannot be read: {error}") from error
    names = _as_strings(arrays.pop(NAMES, ()))
    yield arrays, names


@contextmanager
def _hdf5(path: Path) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    if importlib.util.find_spec("h5py") is None:
        raise ValueError(f"features={path} is HDF5, which h5py reads: pip install 'gqn-probe[hdf5]'")
    import h5py

    with h5py.File(path, "r") as file:
        found = {name: value for name, value in file.items() if isinstance(value, h5py.Dataset)}
        names = _as_strings(found.pop(NAMES)[()]) if NAMES in found else ()
        yield found, names


class _Slices:
    """Tensor of a safetensors file with NumPy's slicing."""

    def __init__(self, file: Any, name: str) -> None:
        self.slice = file.get_slice(name)
        self.shape = tuple(self.slice.get_shape())

    def __getitem__(self, index: slice) -> np.ndarray:
        tensor = self.slice[index]  # by torch: NumPy has no bfloat16
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


@contextmanager
def _safetensors(path: Path) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    with safe_open(path, framework="pt") as file:
        noted = (file.metadata() or {}).get(NAMES, "[]")
        try:
            names = tuple(map(str, json.loads(noted)))
        except (json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"features={path}: {NAMES} in its metadata is no JSON list of names") from error
        yield {name: _Slices(file, name) for name in file.keys()}, names  # noqa: SIM118  (no mapping)


def _read_lines(path: Path) -> tuple[str, ...]:
    lines = path.read_text("utf-8-sig").splitlines() if path.is_file() else []
    return tuple(line.strip() for line in lines if line.strip())


def _as_strings(value: Any) -> tuple[str, ...]:
    each = np.ravel(np.asarray(value)).tolist()
    return tuple((text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)).strip() for text in each)
