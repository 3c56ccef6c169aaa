"""Read NumPy arrays from files of ``torch.save`` without executing anything in them.

Pickles name functions to call. Each name that files of GQN's ports use is mapped to an inert stand-in below, and every
other name is refused; so is a file that asks for far more memory than its size.
"""

import gzip
import pickle
import zipfile
from io import BytesIO
from typing import Any

import numpy as np

from gqn_probe.data.formats.jpeg import check_unpacked, max_decoded_bytes
from gqn_probe.inert_pickle import MAGIC, load_inert, refuse_name

MAGIC_BYTES = (pickle.dumps(MAGIC, 2)[:-1], b"PK")  # of files of torch.save: the older format, and a zip
ARRAY_TYPES = {"u1": np.uint8, "f4": np.float32, "f8": np.float64, "O8": object}


class Dtype:
    """Stand-in for numpy.dtype."""

    def __init__(self, name: str = "", *_: object) -> None:
        if name not in ARRAY_TYPES:
            raise ValueError(f"arrays of type {name!r} do not belong here")
        self.name = name

    def __setstate__(self, state: tuple) -> None:
        if state[1] == ">":
            raise ValueError("big-endian arrays do not belong here")


class Array:
    """Stand-in for numpy.ndarray; its state is (version, shape, dtype, Fortran order, bytes or a list of objects)."""

    array = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, content = state
        if ARRAY_TYPES[dtype.name] is object:
            if not (isinstance(content, list) and all(isinstance(each, bytes) for each in content)):
                raise ValueError("arrays of objects other than bytes do not belong here")
            array = np.empty(len(content), object)
            array[:] = content
        else:
            array = np.frombuffer(content, ARRAY_TYPES[dtype.name])
        self.array = array.reshape(shape, order="F" if fortran else "C")


def _scene(frames: object, cameras: object) -> tuple[object, object]:
    """Stand-in for the named tuple of torch-gqn, whatever module defined it."""
    return frames, cameras


def _reconstruct(*_: object) -> Array:
    """Stand-in for numpy's function that makes an empty array."""
    return Array()


def _encode(text: str, encoding: str) -> bytes:
    """Stand-in for codecs.encode, which protocol 2 uses for bytes."""
    if encoding != "latin1":
        raise ValueError(f"bytes written as {encoding!r} do not belong here")
    return text.encode("latin1")


STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): Dtype,
    ("numpy", "ndarray"): Array,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
}


def _stand_in(module: str, name: str) -> Any:
    if name == "Scene":
        return _scene
    if module.partition(".")[0] == "torch":
        raise ValueError(f"it holds torch tensors ({module}.{name}) where NumPy arrays are expected")
    if (module, name) not in STAND_INS:
        refuse_name(module, name)
    return STAND_INS[module, name]


def read_saved(content: bytes) -> Any:
    """Read the object in a file of ``torch.save``, gzip'd or not, in the zip format or the older one.

    It may hold lists, tuples, numbers, strings and ``Array``.

    Raises:
        ValueError, or one of ``DAMAGE``: it holds something else, is damaged, or asks for too much memory.
    """
    packed = len(content)
    if content[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=BytesIO(content)) as file:
            if not file.read(len(MAGIC_BYTES[0])).startswith(MAGIC_BYTES):
                raise ValueError("it is nothing that torch.save writes")
            file.seek(0)
            content = file.read(max_decoded_bytes(packed) + 1)
        check_unpacked(len(content), packed)
    if zipfile.is_zipfile(BytesIO(content)):
        with zipfile.ZipFile(BytesIO(content)) as archive:
            found = [entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl")]
            if not found:
                raise ValueError("it has no data.pkl")
            check_unpacked(found[0].file_size, packed)
            return _load(BytesIO(archive.read(found[0])))
    file = BytesIO(content)  # magic number, version, system, object, storages
    if _load(file) != MAGIC:
        raise ValueError("it does not open with torch.save's magic number")
    for _ in ("version", "system"):
        _load(file)
    return _load(file)


def _load(file: BytesIO) -> Any:
    return load_inert(file, len(file.getbuffer()), _stand_in, lambda _: _stand_in("torch", "storage"))
