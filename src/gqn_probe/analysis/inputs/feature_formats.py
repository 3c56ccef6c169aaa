"""Formats of feature files: arrays that are read a slice of scenes at a time, whatever their size, and scene names.

``.npz`` (stored or compressed; read from its first scene to its last), ``.npy`` (mapped), ``.h5`` (h5py) and
``.safetensors``. Pickle is never read, since it can run code.
"""

import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile, ZipFile

import numpy as np
from safetensors import SafetensorError, safe_open

FEATURES, NAMES = "features", "names"


class OpenFile(NamedTuple):
    """Arrays by name, each with a ``shape`` and slices along its first axis, and the names of scenes."""

    arrays: Mapping[str, Any]
    names: tuple[str, ...]


@contextmanager
def open_features(path: Path) -> Iterator[OpenFile]:
    """Open a file of features.

    Raises:
        ValueError: the file is missing, of an unknown format, or damaged.
    """
    openers: dict[str, Callable[[Path], Any]] = {
        ".npz": _npz,
        ".npy": _npy,
        ".h5": _hdf5,
        ".hdf5": _hdf5,
        ".safetensors": _safetensors,
    }
    if path.suffix not in openers:
        raise ValueError(f"features={path} has an unknown format: use {', '.join(openers)}; null studies a GQN")
    if not path.is_file():
        raise ValueError(f"features={path} does not exist: name a file of features")
    try:
        with openers[path.suffix](path) as (arrays, names):
            yield OpenFile(arrays, names or _read_lines(path.with_suffix(".txt")))
    except (OSError, BadZipFile, SafetensorError, KeyError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"features={path} cannot be read: {error}") from error


class _NpzArray:
    """Array of an .npz file, read forward a slice at a time, so that no more than a slice is in memory."""

    def __init__(self, archive: ZipFile, name: str, files: ExitStack) -> None:
        self.archive, self.name, self.files = archive, name, files
        self._rewind()

    def _rewind(self) -> None:
        self.file = self.files.enter_context(self.archive.open(self.name))
        version = np.lib.format.read_magic(self.file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        self.shape, self.fortran, self.dtype = header(self.file)
        self.next_row = 0
        if self.dtype.hasobject:
            raise ValueError("Object arrays cannot be loaded without pickle")

    def __getitem__(self, index: slice) -> np.ndarray:
        start, stop, _ = index.indices(self.shape[0])
        if self.fortran:  # scenes are the fastest axis: no slice of them lies together
            with self.archive.open(self.name) as file:
                return np.lib.format.read_array(file, allow_pickle=False)[start:stop]
        if start < self.next_row:
            self._rewind()
        row = self.dtype.itemsize * int(np.prod(self.shape[1:]))
        while self.next_row < start:
            self._read(min(start - self.next_row, max(1, (1 << 22) // row)))
        return np.frombuffer(self._read(stop - start), self.dtype).reshape(stop - start, *self.shape[1:])

    def _read(self, rows: int) -> bytes:
        size = rows * self.dtype.itemsize * int(np.prod(self.shape[1:]))
        data = self.file.read(size)
        if len(data) < size:
            raise EOFError(f"{self.name} ends after {self.next_row} scenes")
        self.next_row += rows
        return data


@contextmanager
def _npz(path: Path) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    with ZipFile(path) as archive, ExitStack() as files:
        found = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        try:
            names = np.load(path, allow_pickle=False)[NAMES] if found.pop(NAMES, None) else ()
            arrays = {name: _NpzArray(archive, member, files) for name, member in found.items()}
        except ValueError as error:  # objects, which NumPy keeps as pickle
            raise ValueError(f"features={path} cannot be read: {error}") from error
        yield arrays, _as_strings(names)


@contextmanager
def _npy(path: Path) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"features={path} cannot be read: {error}") from error
    yield {FEATURES: array}, ()


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
