"""Read tensors and plain values of a ``torch.save`` file without executing code, and check sizes and checksums.

``torch.load`` compares no checksums and trusts the sizes that a file states.
"""

import math
import reprlib
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gqn_probe.inert_pickle import DAMAGE, MAGIC, load_inert, refuse_name

DTYPES = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}


class Storage(NamedTuple):
    """Numbers of one or more tensors, in the file until ``read``."""

    dtype: torch.dtype
    numbers: int
    read: Callable[[], bytes]

    @property
    def bytes(self) -> int:
        return self.numbers * self.dtype.itemsize


class SavedTensor(NamedTuple):
    """Tensor that can be read while its file is open; a tuple, which a pickle cannot modify."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self) -> Tensor:
        """Return the tensor in memory.

        Raises:
            ValueError, or one of ``DAMAGE``: the file is truncated or its checksum differs.
        """
        content = self.storage.read()
        if len(content) != self.storage.bytes:
            raise ValueError(f"it holds {len(content):,} bytes for {self.storage.numbers:,} numbers")
        if not math.prod(self.shape):
            return torch.empty(self.shape, dtype=self.storage.dtype)
        numbers = torch.frombuffer(bytearray(content), dtype=self.storage.dtype)
        return numbers.as_strided(self.shape, self.strides, self.offset).contiguous()


class Values(dict):
    """Stand-in for collections.OrderedDict, without its attributes."""

    def __init__(self) -> None:  # items come one by one
        super().__init__()

    def __setstate__(self, state: object) -> None:
        pass


def _rebuilt(storage: Any, offset: Any, shape: Any, strides: Any, *_: object) -> SavedTensor:
    """Stand-in for torch's function that builds a tensor from a storage."""
    if not isinstance(storage, Storage) or len(shape) != len(strides):
        raise ValueError("it holds a tensor of no numbers or no shape")
    if not all(type(each) is int and each >= 0 for each in (offset, *shape, *strides)):
        raise ValueError(f"it holds a tensor of no shape: {reprlib.repr((offset, shape, strides))}")
    tensor, number = SavedTensor(storage, offset, tuple(shape), tuple(strides)), math.prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if number and max(number, last + 1) > storage.numbers:
        raise ValueError(f"it holds a tensor {reprlib.repr(shape)} of {storage.numbers:,} numbers")
    return tensor


def _parameter(tensor: SavedTensor, *_: object) -> SavedTensor:
    """Stand-in for torch's function that builds a parameter from a tensor."""
    return tensor


STAND_INS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): Values,
    ("torch._utils", "_rebuild_tensor"): _rebuilt,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    **{("torch", name): name for name in DTYPES},
}


def _stand_in(module: str, name: str) -> Any:
    if (module, name) not in STAND_INS:
        refuse_name(module, name)
    return STAND_INS[module, name]


@contextmanager
def open_saved(path: Path) -> Iterator[Any]:
    """Yield the content of a ``torch.save`` file, zip or older format, with tensors as ``SavedTensor``.

    Raises:
        ValueError: the file is of another kind, is damaged, or refers to code or to more data than it holds; raised
            when it is opened or when its tensors are read.
    """
    try:
        with path.open("rb") as file:
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive:
                    yield _of_zip(archive, path.stat().st_size)
                return
            file.seek(0)
            if file.read(2) == b"PK":  # a zip, whose directory stands at its end
                raise ValueError("its end is missing")
            file.seek(0)
            yield _of_older(file, path.stat().st_size)
    except (*DAMAGE, ValueError) as error:
        raise ValueError(f"{path} is not a checkpoint that can be read: {error}") from error


def read_plain(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint, tensors unread, after comparing every checksum in the file.

    Raises:
        ValueError: the file is damaged, or not safe for ``torch.load``.
    """
    with open_saved(path) as content, zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} in it has another checksum than was noted")
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
        return content


def _of_zip(archive: zipfile.ZipFile, size: int) -> Any:
    entries = {entry.filename: entry for entry in archive.infolist()}
    found = [name for name in entries if name.endswith("/data.pkl")]
    if len(found) != 1:
        raise ValueError("it has no data.pkl")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise ValueError("it is compressed, which torch.save does not do")
    if sum(entry.file_size for entry in entries.values()) > size:
        raise ValueError("its parts are larger than the file")
    root = found[0].removesuffix("data.pkl")
    order = f"{root}byteorder"
    if order in entries and archive.read(order).decode() != sys.byteorder:
        raise ValueError("it was written on a machine of another byte order")

    def storage(pid: Any) -> Storage:
        _, kind, key, _, numbers = pid
        made = _storage(kind, numbers, lambda: archive.read(f"{root}data/{key}"))
        if entries[f"{root}data/{key}"].file_size != made.bytes:
            raise ValueError(f"its numbers {key} are not {numbers:,}")
        return made

    content = archive.read(found[0])
    return load_inert(BytesIO(content), len(content), _stand_in, storage)


def _of_older(file: BufferedIOBase, size: int) -> Any:
    """Read the format before version 1.6: magic number, version, system, object, keys of storages, storages."""
    storages: dict[str, Storage] = {}
    starts: dict[str, int] = {}

    def storage(pid: Any) -> Storage:
        _, kind, key, _, numbers, view = pid
        if view is not None or not isinstance(key, str):
            raise ValueError("its tensors are parts of each other")

        def read() -> bytes:
            file.seek(starts[key] - 8)
            if int.from_bytes(file.read(8), sys.byteorder) != made.numbers:
                raise ValueError(f"its numbers {key} are not {made.numbers:,}")
            return file.read(made.bytes)

        made = _storage(kind, numbers, read)
        return storages.setdefault(key, made)

    def load() -> Any:
        return load_inert(file, size, _stand_in, storage)

    if load() != MAGIC:
        raise ValueError("it does not open with torch.save's magic number")
    for _ in ("version", "system"):
        load()
    content = load()
    start = None
    for key in load():
        start = (file.tell() if start is None else start) + 8
        starts[key] = start
        start += storages[key].bytes
    if start is not None and start > size:
        raise ValueError("it is cut")
    return content


def _storage(kind: Any, numbers: Any, read: Callable[[], bytes]) -> Storage:
    if not isinstance(kind, str) or kind not in DTYPES or type(numbers) is not int or numbers < 0:
        raise ValueError(f"it holds {reprlib.repr(numbers)} numbers of type {reprlib.repr(kind)}")
    return Storage(DTYPES[kind], numbers, read)
