"""Shards of a store as safetensors files: written atomically, and memory-mapped after a check against the index.

Format: 8 bytes of header length, a JSON header with dtype, shape and offsets of each column, the data
(github.com/huggingface/safetensors).
"""

import json
import math
import mmap
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from gqn_probe.atomic_io import write_tensors
from gqn_probe.data.formats.deepmind import EncodedScenes
from gqn_probe.data.formats.jpeg import check_memory
from gqn_probe.data.store.store_index import Shard
from gqn_probe.types import Factors, Scenes

DTYPES = {"U8": np.uint8, "F32": np.float32, "I64": np.int64}
LONGEST_HEADER = 100 << 20  # as safetensors itself allows
JPEG_COLUMNS = ("jpeg", "ends", "size")
FACTORS = tuple(f"factors.{field.name}" for field in fields(Factors))


def write_shard(folder: Path, split: str, piece: str, scenes: Scenes | EncodedScenes) -> Shard:
    """Write one shard atomically, and return its index entry; ValueError if the disk is full."""
    size = scenes.size if isinstance(scenes, EncodedScenes) else scenes.frames.shape[-2:]
    shard = Shard(split, piece, len(scenes.cameras), 0, "", shape=(scenes.cameras.shape[1], *size))
    path = folder / shard.file
    try:
        write_tensors(path, _columns_of(scenes), {} if scenes.names is None else {"names": json.dumps(scenes.names)})
        return replace(shard, bytes=path.stat().st_size, crc32c=checksum_of(path))
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error}") from None


def _columns_of(scenes: Scenes | EncodedScenes) -> dict[str, Tensor]:
    """Return the columns of a shard: raw frames, or concatenated JPEGs with the offset at which each ends."""
    if isinstance(scenes, EncodedScenes):
        ends = torch.tensor([len(image) for image in scenes.images]).cumsum(0)
        return {
            "jpeg": torch.frombuffer(bytearray(b"".join(scenes.images)), dtype=torch.uint8),
            "ends": rearrange(ends, "(s v) -> s v", s=len(scenes.scenes)),
            "size": torch.tensor(scenes.size),
            "cameras": scenes.cameras,
        }
    columns = {"frames": scenes.frames, "cameras": scenes.cameras}
    if scenes.factors is not None:
        columns |= dict(zip(FACTORS, vars(scenes.factors).values(), strict=True))
    return {name: column.contiguous() for name, column in columns.items()}


def checksum_of(path: Path) -> str:
    """Return the CRC-32C of a file, in hex."""
    checksum = google_crc32c.Checksum()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum.update(block)
    return checksum.digest().hex()


def damage_of(folder: Path, shard: Shard, *, check: bool = True) -> str | None:
    """Say how the file of a shard differs from its index entry, if it does.

    Args:
        check: compare the checksum too, which reads the file once.
    """
    path = folder / shard.file
    if not path.exists():
        return "it is missing"
    if (found := path.stat().st_size) != shard.bytes:
        return f"it has {found} bytes where the index says {shard.bytes}"
    return "its checksum is not the index's" if check and checksum_of(path) != shard.crc32c else None


class MappedShard(NamedTuple):
    """Memory-mapped columns of a shard."""

    columns: dict[str, np.ndarray]
    names: tuple[str, ...]  # of its scenes
    memory: mmap.mmap


def map_shard(folder: Path, shard: Shard, *, check: bool) -> MappedShard:
    """Map the columns of a shard into memory.

    Args:
        check: see ``damage_of``.

    Raises:
        ValueError: the file is not a shard, or not the one that the index describes; the message names it.
    """
    path = folder / shard.file
    try:
        if damage := damage_of(folder, shard, check=check):
            raise ValueError(damage)
        with path.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        columns, metadata = _columns(memory)
        _check_columns(columns, shard.scenes)
        unnamed = [f"{shard.split}-{shard.piece}:{row}" for row in range(shard.scenes)]
        names = json.loads(metadata["names"]) if "names" in metadata else unnamed
        if len(names) != shard.scenes or not all(isinstance(name, str) for name in names):
            raise ValueError(f"it has not one name for each of {shard.scenes} scenes")
    except (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and prepare the store again") from None
    return MappedShard(columns, tuple(names), memory)


def _columns(memory: mmap.mmap) -> tuple[dict[str, np.ndarray], dict]:
    """Return each column as an array over the mapped file, and the metadata of the file."""
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
            raise ValueError(f"column {name} has offsets that are no positive integers")
        if high > len(memory) - 8 - length or math.prod(shape) * dtype.itemsize != high - low:
            raise ValueError(f"column {name} does not match its offsets")
        columns[name] = np.frombuffer(memory, dtype, math.prod(shape), 8 + length + low).reshape(shape)
    return columns, metadata


def _check_columns(columns: dict[str, np.ndarray], scenes: int) -> None:
    """Raise ValueError unless the columns are those of so many scenes."""

    def check(name: str, dtype: type, *shape: int | None) -> np.ndarray:
        if name not in columns:
            raise ValueError(f"it has no column {name}")
        column = columns[name]
        expected = tuple(
            length if wanted is None else wanted for wanted, length in zip(shape, column.shape, strict=False)
        )
        if column.dtype != dtype or column.shape != expected or len(shape) != column.ndim:
            raise ValueError(
                f"column {name} is {column.dtype} {list(column.shape)}, not {dtype.__name__} {list(shape)}"
            )
        return column

    views = check("cameras", np.float32, scenes, None, 5).shape[1]
    if "frames" in columns:
        check("frames", np.uint8, scenes, views, 3, None, None)
    else:
        jpeg, ends = check("jpeg", np.uint8, None), check("ends", np.int64, scenes, views)
        height, width = check("size", np.int64, 2).tolist()
        if min(height, width) < 1 or np.diff(ends.flatten(), prepend=0, append=len(jpeg)).min() < 0:
            raise ValueError(f"its JPEGs, of {height}x{width} pixels, do not lie end to end")
        check_memory(height, width, ends.size, len(jpeg))
    factors = {name for name in columns if name.startswith("factors.")}
    if factors and (factors != {*FACTORS} or any(len(columns[name]) != scenes for name in factors)):
        raise ValueError(f"its factors are not one for each of {scenes} scenes")
