"""Read scenes from a store: map its shards into memory, copy out the rows asked for, decode what is JPEG."""

import json
import mmap
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Int, UInt8
from torch import Tensor

from gqn_probe.data.jpeg import decode_jpegs, resize_frames
from gqn_probe.data.store import Shard
from gqn_probe.types import Factors, Scenes

READ_BYTES = 16 << 20  # how much is read before its memory is returned; the kernel maps up to 20 times as much
KEPT_BYTES = 256 << 20  # shards of this size together stay in memory: it takes time to map them again
DTYPES = {"U8": np.uint8, "F32": np.float32, "I64": np.int64}


class StoredScenes:
    """The scenes of some shards, by row; frames are resized to ``size`` pixels unless it is None."""

    def __init__(self, folder: Path, shards: Sequence[Shard], size: int | None = None) -> None:
        self.folder, self.shards, self.size = folder, tuple(shards), size
        self.starts = np.cumsum([0] + [shard.scenes for shard in shards])
        self._maps: dict[int, Mapped] = {}
        self._touched: set[int] = set()
        self._read = 0

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_maps": {}, "_touched": set()}  # workers that are spawned map the files themselves

    def __getitem__(self, rows: Int[Tensor, " s"]) -> Scenes:
        """A copy of these rows, in their order; frames kept as JPEG are decoded.

        Raises:
            ValueError: where a shard is not the file that the index describes, or a frame cannot be decoded.
        """
        places = self._locate(rows)
        frames = _decode(places) if "jpeg" in places[0].columns else _gather(places, "frames")
        self._read += frames.nbytes
        frames = frames if self.size is None else resize_frames(frames, self.size)
        scenes = Scenes(frames, _gather(places, "cameras"), _factors(places))
        if self._read > READ_BYTES and sum(self.shards[number].bytes for number in self._touched) > KEPT_BYTES:
            self._return_memory()
        return scenes

    def factors(self, rows: Int[Tensor, " s"]) -> Factors | None:
        """The ground truth of these rows, where it is known."""
        return _factors(self._locate(rows))

    def _locate(self, rows: Int[Tensor, " s"]) -> list["Place"]:
        numbers = np.searchsorted(self.starts, rows.numpy(), side="right") - 1
        own_rows = rows.numpy() - self.starts[numbers]
        for number in set(numbers.tolist()):
            if number not in self._maps:
                self._maps[number] = _map_shard(self.folder, self.shards[number])
            self._touched.add(number)
        return [
            Place(self._maps[number].columns, row)
            for number, row in zip(numbers.tolist(), own_rows.tolist(), strict=True)
        ]

    def _return_memory(self) -> None:
        for number in self._touched:
            self._maps[number].memory.madvise(mmap.MADV_DONTNEED)
        self._touched.clear()
        self._read = 0


class Mapped(NamedTuple):
    """A shard in memory."""

    columns: dict[str, np.ndarray]
    memory: mmap.mmap


class Place(NamedTuple):
    """Where a scene is: the columns of its shard, and its row in them."""

    columns: dict[str, np.ndarray]
    row: int


def _gather(places: Sequence[Place], name: str) -> Tensor:
    first = places[0].columns[name]
    gathered = np.empty((len(places), *first.shape[1:]), first.dtype)
    for row, place in enumerate(places):
        gathered[row] = place.columns[name][place.row]
    return torch.from_numpy(gathered)


def _factors(places: Sequence[Place]) -> Factors | None:
    if "factors.shape" not in places[0].columns:
        return None
    return Factors(*(_gather(places, f"factors.{f.name}") for f in fields(Factors)))


def _decode(places: Sequence[Place]) -> UInt8[Tensor, "s v c h w"]:
    images = []
    for columns, row in places:
        first = columns["ends"][row - 1, -1] if row else 0
        starts = [first, *columns["ends"][row, :-1]]
        images += [columns["jpeg"][low:high] for low, high in zip(starts, columns["ends"][row], strict=True)]
    height, width = places[0].columns["size"].tolist()
    return rearrange(decode_jpegs(images, height, width), "(s v) c h w -> s v c h w", s=len(places))


def _map_shard(folder: Path, shard: Shard) -> Mapped:
    """Map a safetensors file: 8 bytes of header length, a JSON header, the data."""
    path = folder / shard.file
    found = path.stat().st_size if path.exists() else 0
    if found != shard.bytes:
        raise ValueError(f"{path} has {found} bytes where the index says {shard.bytes}: prepare the store again")
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(memory[:8], "little")
    columns = {}
    for name, entry in json.loads(memory[8 : 8 + length]).items():
        if name != "__metadata__":
            dtype, (low, high) = np.dtype(DTYPES[entry["dtype"]]), entry["data_offsets"]
            column = np.frombuffer(memory, dtype, (high - low) // dtype.itemsize, 8 + length + low)
            columns[name] = column.reshape(entry["shape"])
    return Mapped(columns, memory)
