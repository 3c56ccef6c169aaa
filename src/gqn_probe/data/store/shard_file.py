"""Map one shard of a store into memory: a safetensors file, checked against the index before anything is used.

Format: 8 bytes of header length, a JSON header with dtype, shape and place of each column, the data
(github.com/huggingface/safetensors).
"""

import json
import math
import mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gqn_probe.data.formats.jpeg import check_memory
from gqn_probe.data.store.store import Shard, checksum_of

DTYPES = {"U8": np.uint8, "F32": np.float32, "I64": np.int64}
LONGEST_HEADER = 100 << 20  # as safetensors itself allows
STORED = {"frames": ("U8", 5), "cameras": ("F32", 3), "jpeg": ("U8", 1), "ends": ("I64", 2), "size": ("I64", 1)}
OF_JPEGS = ("jpeg", "ends", "size")


class Mapped(NamedTuple):
    """A shard in memory."""

    columns: dict[str, np.ndarray]
    names: tuple[str, ...]  # of its scenes
    memory: mmap.mmap


def map_shard(folder: Path, shard: Shard, *, check: bool) -> Mapped:
    """Map the columns of a shard; with ``check``, its checksum is compared first, which reads it once.

    Raises:
        ValueError: naming the file, where it is not what the index describes, or no shard.
    """
    path = folder / shard.file
    try:
        found = shard.size_in(folder)
        if found != shard.bytes:
            raise ValueError(f"it has {found} bytes where the index says {shard.bytes}")
        if check and checksum_of(path) != shard.crc32c:
            raise ValueError("its checksum is not the index's")
        with path.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        columns, metadata = _columns(memory)
        _check_columns(columns, shard)
        unnamed = [f"{shard.split}-{shard.piece}:{row}" for row in range(shard.scenes)]
        names = json.loads(metadata["names"]) if "names" in metadata else unnamed
        if len(names) != shard.scenes or not all(isinstance(name, str) for name in names):
            raise ValueError(f"it has not one name for each of {shard.scenes} scenes")
    except (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and prepare the store again") from None
    return Mapped(columns, tuple(names), memory)


def _columns(memory: mmap.mmap) -> tuple[dict[str, np.ndarray], dict]:
    """Each column as an array over the file, and the file's metadata."""
    length = int.from_bytes(memory[:8], "little")
    if length > min(len(memory) - 8, LONGEST_HEADER):
        raise ValueError("its header is longer than the file")
    header = json.loads(memory[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    columns = {}
    for name, entry in header.items():
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"column {name} is of type {entry['dtype']}, not {', '.join(DTYPES)}")
        dtype, (low, high), shape = np.dtype(DTYPES[entry["dtype"]]), entry["data_offsets"], entry["shape"]
        if not all(isinstance(number, int) and number >= 0 for number in (low, high, *shape)):
            raise ValueError(f"column {name} has no place in it")
        if high > len(memory) - 8 - length or math.prod(shape) * dtype.itemsize != high - low:
            raise ValueError(f"column {name} does not fit its place")
        columns[name] = np.frombuffer(memory, dtype, math.prod(shape), 8 + length + low).reshape(shape)
    return columns, metadata


def _check_columns(columns: dict[str, np.ndarray], shard: Shard) -> None:
    """Refuse what the index does not promise."""
    needed = ("cameras", "frames") if "frames" in columns else ("cameras", *OF_JPEGS)
    for name in needed:
        dtype, axes = STORED[name]
        if name not in columns:
            raise ValueError(f"it has no column {name}")
        column = columns[name]
        if column.dtype != DTYPES[dtype] or column.ndim != axes:
            raise ValueError(f"column {name} is {column.dtype} {list(column.shape)}")
        if name not in ("jpeg", "size") and len(column) != shard.scenes:
            raise ValueError(f"column {name} has {len(column)} scenes where the index says {shard.scenes}")
    views = columns["cameras"].shape[1]
    if columns["cameras"].shape[2] != 5:
        raise ValueError(f"cameras have {columns['cameras'].shape[2]} numbers, not 5")
    if "frames" in columns:
        if columns["frames"].shape[1:3] != (views, 3):
            raise ValueError(f"frames are {list(columns['frames'].shape)} for {views} cameras")
        return
    ends, jpeg, size = (columns[name] for name in ("ends", "jpeg", "size"))
    if ends.shape[1] != views or len(size) != 2 or min(size) < 1:
        raise ValueError(f"its JPEGs are {list(ends.shape)} of {size.tolist()} pixels for {views} cameras")
    steps = np.diff(ends.flatten(), prepend=0)
    if steps.size and (steps.min() < 0 or ends[-1, -1] > len(jpeg)):
        raise ValueError("its JPEGs do not lie end to end")
    check_memory(int(size[0]), int(size[1]), ends.size, len(jpeg))
