"""Read scenes from a store: map its shards into memory, copy out the rows asked for, decode what is JPEG."""

import json
import mmap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gqn_probe.data.formats.jpeg import decode_jpegs
from gqn_probe.data.formats.resize import resize_frames
from gqn_probe.data.store.store import Shard
from gqn_probe.types import Factors, Scenes

READ_BYTES = 16 << 20  # how much is read before its memory is returned; the kernel maps up to 20 times as much
KEPT_BYTES = 256 << 20  # shards of this size together stay in memory: it takes time to map them again
OPEN_SHARDS = 256  # each takes a file descriptor, of which a process may have no more than 1024
OF_JPEGS = ("jpeg", "ends", "size")
DTYPES = {"U8": np.uint8, "F32": np.float32, "I64": np.int64}


class Mapped(NamedTuple):
    """A shard in memory."""

    columns: dict[str, np.ndarray]
    memory: mmap.mmap


class Places(NamedTuple):
    """Where rows are: number of the shard, and row in it."""

    shards: Int[np.ndarray, " s"]
    rows: Int[np.ndarray, " s"]


class Part(NamedTuple):
    """What one shard has of the rows asked for: places among them, and rows in the shard."""

    columns: dict[str, np.ndarray]
    places: list[int]
    rows: list[int]


class StoredScenes:
    """The scenes of some shards, by row; frames are resized to ``size`` pixels unless it is None."""

    def __init__(self, folder: Path, shards: Sequence[Shard], size: int | None = None) -> None:
        self.folder, self.shards, self.size = folder, tuple(shards), size
        self.starts = np.cumsum([0] + [shard.scenes for shard in shards])
        self._maps: dict[int, Mapped] = {}  # by number of the shard; the last used comes last
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
        columns = self._gather(rows)
        frames = columns["frames"] if "frames" in columns else self._decode(rows)
        self._read += frames.nbytes
        if self._read > READ_BYTES and sum(self.shards[number].bytes for number in self._touched) > KEPT_BYTES:
            self._return_memory()
        resized = frames if self.size is None else resize_frames(frames, self.size)
        return Scenes(resized, columns["cameras"], _factors(columns))

    def factors(self, rows: Int[Tensor, " s"]) -> Factors | None:
        """The ground truth of these rows, where it is known."""
        return _factors(self._gather(rows, "factors."))

    def cameras(self, rows: Int[Tensor, " s"]) -> Float[Tensor, "s v 5"]:
        """The raw cameras of these rows; frames are neither read nor decoded."""
        return self._gather(rows, "cameras")["cameras"]

    def places(self, rows: Int[Tensor, " s"]) -> Places:
        """Where these rows are."""
        shards = np.searchsorted(self.starts, rows.numpy(), side="right") - 1
        return Places(shards, rows.numpy() - self.starts[shards])

    def _by_shard(self, rows: Int[Tensor, " s"]) -> Iterator[Part]:
        """What one shard after the other has of these rows, so that few need to be open."""
        shards, own_rows = self.places(rows)
        wanted: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for place, (shard, row) in enumerate(zip(shards.tolist(), own_rows.tolist(), strict=True)):
            places, in_shard = wanted[shard]
            places.append(place)
            in_shard.append(row)
        for shard, (places, in_shard) in wanted.items():
            yield Part(self._columns(shard), places, in_shard)

    def _gather(self, rows: Int[Tensor, " s"], prefix: str = "") -> dict[str, Tensor]:
        gathered: dict[str, np.ndarray] = {}
        for columns, places, own_rows in self._by_shard(rows):
            for name, column in columns.items():
                if name in OF_JPEGS or not name.startswith(prefix):
                    continue
                if name not in gathered:
                    gathered[name] = np.empty((len(rows), *column.shape[1:]), column.dtype)
                for place, row in zip(places, own_rows, strict=True):
                    gathered[name][place] = column[row]
        return {name: torch.from_numpy(column) for name, column in gathered.items()}

    def _decode(self, rows: Int[Tensor, " s"]) -> UInt8[Tensor, "s v c h w"]:
        images: dict[int, list[bytes]] = {}
        height = width = 0
        for columns, places, own_rows in self._by_shard(rows):
            height, width = columns["size"].tolist()
            for place, row in zip(places, own_rows, strict=True):
                ends = [columns["ends"][row - 1, -1] if row else 0, *columns["ends"][row]]
                images[place] = [columns["jpeg"][low:high].tobytes() for low, high in pairwise(ends)]
        in_order = [image for place in range(len(rows)) for image in images[place]]
        return rearrange(decode_jpegs(in_order, height, width), "(s v) c h w -> s v c h w", s=len(rows))

    def _columns(self, number: int) -> dict[str, np.ndarray]:
        mapped = self._maps.pop(number, None) or _map_shard(self.folder, self.shards[number])
        self._maps[number] = mapped
        self._touched.add(number)
        if len(self._maps) > OPEN_SHARDS:
            oldest = next(iter(self._maps))
            del self._maps[oldest]
            self._touched.discard(oldest)
        return mapped.columns

    def _return_memory(self) -> None:
        for number in self._touched:
            self._maps[number].memory.madvise(mmap.MADV_DONTNEED)
        self._touched.clear()
        self._read = 0


def _factors(columns: Mapping[str, Tensor]) -> Factors | None:
    if "factors.shape" not in columns:
        return None
    return Factors(*(columns[f"factors.{f.name}"] for f in fields(Factors)))


def _map_shard(folder: Path, shard: Shard) -> Mapped:
    """Map a safetensors file: 8 bytes of header length, a JSON header, the data."""
    path = folder / shard.file
    found = shard.size_in(folder)
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
