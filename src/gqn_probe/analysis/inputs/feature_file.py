"""Per-view features of another network, such as DINOv2, read from a file; their sum over views takes the place of r.

Formats: ``.npz``, ``.h5`` (h5py) and ``.safetensors``. The array ``features`` has axes scene, view, feature; further
arrays with the same first two axes are layers. ``names`` holds the scenes' names: an array of strings, in safetensors
a JSON list in the metadata, or the lines of ``NAME.txt`` beside the file. See docs/other_networks.md.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.inputs.feature_formats import FEATURES, NAMES, open_features
from gqn_probe.atomic_io import atomic_write, reserve
from gqn_probe.model import GQN
from gqn_probe.progress import progress

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
            digest.update(f"{name} {tuple(array.shape)}".encode())
            for part in array.split(READ_SCENES):
                digest.update(part.numpy().tobytes())
        return digest.hexdigest()

    def features(self, name: str) -> Float[Tensor, "s v f"]:
        """Return a read-out of every view."""
        return self.arrays[WHOLE if name in ALIASES else name]

    def select(self, rows: slice | Int[Tensor, " s"]) -> "FeatureFile":
        """Return a copy with some of the scenes; a slice of them is not read."""
        arrays = {name: array[rows] for name, array in self.arrays.items()}
        names = tuple(np.array(self.scenes, dtype=object)[rows])
        return FeatureFile(self.path, names, arrays, self.has_images)


Network = GQN | FeatureFile


def read_names(path: str | Path) -> tuple[str, ...]:
    """Return the names of a file's scenes, in the file's order.

    Raises:
        ValueError: see ``read_features``.
    """
    with open_features(Path(path)) as (arrays, names):
        _validate(Path(path), arrays, names)
        return names


def read_features(
    path: str | Path, wanted: Sequence[str] | None = None, *, has_images: bool = True, cache: Path | None = None
) -> FeatureFile:
    """Read the features of the scenes ``wanted``, in that order; None reads all.

    Args:
        cache: folder for a memory-mapped copy, which is made once for a file and a choice of scenes; None holds the
            numbers in memory.

    Raises:
        ValueError: the file is missing or of an unknown format, lacks names or features, or holds values that are not
            finite.
    """
    path = Path(path)
    with open_features(path) as (arrays, names):
        main = _validate(path, arrays, names)
        places = {name: place for place, name in enumerate(names)}
        rows = np.array([places[name] for name in (names if wanted is None else wanted)], dtype=np.int64)
        found = {}
        for name in (main, *(name for name in arrays if name != main)):
            array = arrays[name]
            readout, where = WHOLE if name == main else f"layer.{name}", f"{path}: {name}"
            if cache is None:
                values = np.empty(_flat_shape(array, rows), np.float32)
                _copy_scenes(array, rows, values, where)
            else:
                values = _mapped_copy(array, rows, where, _copy_path(path, name, rows, cache))
            found[readout] = torch.from_numpy(values)
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
            raise ValueError(f"features={path}: {name} has shape {shape}: reshape it to scenes, views, numbers")
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
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise ValueError(f"features={path} has the scene {twice} twice")
    return main


def _flat_shape(array: Any, rows: Int[np.ndarray, " s"]) -> tuple[int, int, int]:
    return len(rows), array.shape[1], int(np.prod(array.shape[2:]))


def _copy_scenes(array: Any, rows: Int[np.ndarray, " s"], out: Float[np.ndarray, "s v f"], where: str) -> None:
    """Copy the scenes ``rows`` of an array to ``out`` in chunks, in the file's order."""
    order = np.argsort(rows, kind="stable")
    with progress("reading features", len(rows), "scenes") as advance:
        for start in range(0, len(rows), READ_SCENES):
            places = order[start : start + READ_SCENES]
            part = array[int(rows[places[0]]) : int(rows[places[-1]]) + 1]
            part = np.asarray(part)[rows[places] - rows[places[0]]]
            if part.dtype.kind not in "fiu":
                raise ValueError(f"features={where} is of type {part.dtype}, expected numbers")
            values = part.reshape(len(places), *out.shape[1:]).astype(np.float32)
            if not np.isfinite(values).all():
                raise ValueError(f"features={where} holds numbers that are not finite")
            out[places] = values
            advance(len(places))


def _copy_path(path: Path, name: str, rows: Int[np.ndarray, " s"], cache: Path) -> Path:
    """Return the place in the cache of a copy of some scenes of an array, by the file's identity."""
    stat = path.stat()
    key = hashlib.sha256(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {name}".encode() + rows.tobytes())
    return cache / "feature_files" / f"{key.hexdigest()[:16]}.npy"


def _mapped_copy(array: Any, rows: Int[np.ndarray, " s"], where: str, copy: Path) -> Float[np.ndarray, "s v f"]:
    """Return a memory-mapped copy of some scenes, which is made where it is missing."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(copy.with_suffix(".lock")):
        if not copy.exists():
            with atomic_write(copy) as draft:
                out = np.lib.format.open_memmap(draft, "w+", np.float32, _flat_shape(array, rows))
                reserve(draft, draft.stat().st_size)
                _copy_scenes(array, rows, out, where)
                out.flush()
    return np.load(copy, mmap_mode="c")  # copy-on-write, because torch refuses read-only arrays
