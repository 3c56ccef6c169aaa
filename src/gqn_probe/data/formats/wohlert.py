"""The gzip'd files of the public PyTorch port: a pickled list of (images uint8 [v h w c], cameras float32 [v 5]).

A pickle can call any function. These need four, and none of them is called: each name is answered with an inert
stand-in below, and every other name is refused. So nothing in a file is ever executed.
"""

import gzip
import pickle
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np
import torch
from einops import rearrange

from gqn_probe.data.formats.remote import fetch
from gqn_probe.types import Scenes

MAGIC = 0x1950A86A20F9469CFC6C  # opens torch.save's format before version 1.6
DAMAGE = (
    *(OSError, EOFError, zlib.error, struct.error),
    *(zipfile.BadZipFile, NotImplementedError),  # the latter for a zip of another version
    *(pickle.UnpicklingError, LookupError, OverflowError, MemoryError),
)
DTYPES = {"u1": np.uint8, "f4": np.float32, "f8": np.float64}


class _Dtype:
    """Stands for numpy.dtype."""

    def __init__(self, name: str = "", *_: object) -> None:
        if name not in DTYPES:
            raise ValueError(f"arrays of type {name!r} do not belong here")
        self.name = name

    def __setstate__(self, state: tuple) -> None:
        if state[1] == ">":
            raise ValueError("big-endian arrays do not belong here")


class _Array:
    """Stands for numpy.ndarray; its state is (version, shape, dtype, Fortran order, bytes)."""

    array = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, content = state
        array = np.frombuffer(content, DTYPES[dtype.name])
        self.array = array.reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: object) -> _Array:
    """Stands for numpy's function that makes an empty array."""
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """Stands for codecs.encode, by which protocol 2 writes bytes."""
    if encoding != "latin1":
        raise ValueError(f"bytes written as {encoding!r} do not belong here")
    return text.encode("latin1")


STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    """Knows the stand-ins and nothing else."""

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in STAND_INS:
            raise ValueError(f"it asks for {module}.{name}, which is not data: do not trust this file")
        return STAND_INS[module, name]

    def persistent_load(self, pid: object, /) -> NoReturn:
        raise ValueError("it holds torch tensors where NumPy arrays are expected")


def _read_object(content: bytes) -> Any:
    """What was saved, in today's zip or the older format (magic number, version, system, object, storages)."""
    if zipfile.is_zipfile(BytesIO(content)):
        with zipfile.ZipFile(BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if not names:
                raise ValueError("it has no data.pkl")
            return _Unpickler(BytesIO(archive.read(names[0])), encoding="latin1").load()
    file = BytesIO(content)
    if _Unpickler(file).load() != MAGIC:
        raise ValueError("it does not open with torch.save's magic number")
    for _ in ("version", "system"):
        _Unpickler(file).load()
    return _Unpickler(file, encoding="latin1").load()


def read_converted(path: str | Path) -> Scenes:
    """All scenes of one ``.pt.gz`` file of the PyTorch port; a path or any fsspec URL.

    Raises:
        ValueError: naming file, scene and reason, where it is damaged, is something else, or asks for code.
    """
    try:
        pairs = _read_object(gzip.decompress(fetch(path)))
    except DAMAGE as error:
        raise ValueError(f"{path} is damaged or no file of the PyTorch port: {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not isinstance(pairs, list) or not pairs:
        raise ValueError(f"{path} holds no list of scenes")
    frames, cameras = zip(*(_scene(pair, f"{path}, scene {number}") for number, pair in enumerate(pairs)), strict=True)
    if len({images.shape for images in frames}) > 1:
        raise ValueError(f"{path}: scenes differ in shape: {sorted({images.shape for images in frames})}")
    pixels = rearrange(np.stack(frames), "s v h w c -> s v c h w")
    names = tuple(f"{PurePosixPath(path).name}:{number}" for number in range(len(pairs)))
    return Scenes(torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(np.stack(cameras)), names=names)


def _scene(pair: object, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and cameras of one scene, checked."""
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(part, _Array) for part in pair)):
        raise ValueError(f"{label}: expected a pair of arrays")
    images, cameras = pair[0].array, pair[1].array
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"{label}: expected uint8 images [v, h, w, 3], got {images.dtype} {list(images.shape)}")
    if cameras.shape != (len(images), 5):
        raise ValueError(f"{label}: expected cameras [{len(images)}, 5], got {list(cameras.shape)}")
    if not np.isfinite(cameras).all():
        raise ValueError(f"{label}: camera of frame {np.nonzero(~np.isfinite(cameras))[0][0]} is not finite")
    return images, cameras.astype(np.float32)
