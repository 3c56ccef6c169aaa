"""Scenes of a store: rows of its shards, read when they are asked for, so that they need not fit into memory."""

import mmap
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
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
from gqn_probe.data.store.shard_file import JPEG_COLUMNS, MappedShard, map_shard
from gqn_probe.data.store.store_index import Shard
from gqn_probe.types import Factors, Scenes

READ_BYTES = 16 << 20  # how much is read before its memory is returned; the kernel maps up to 20 times as much
KEPT_BYTES = 256 << 20  # shards of this size together stay in memory: it takes time to map them again
OPEN_SHARDS = 256  # each takes a file descriptor, of which a process may have no more than 1024
RemakeShard = Callable[[Shard], None]


class ShardPlaces(NamedTuple):
    """Place of each row in the store: the number of its shard, and its row in that shard."""

    shards: Int[np.ndarray, " s"]
    rows: Int[np.ndarray, " s"]


class ShardRows(NamedTuple):
    """The rows asked for that lie in one shard: places among those asked for, and rows in the shard."""

    shard: MappedShard
    places: list[int]
    rows: list[int]


class MappedShards:
    """The shards of a store that are mapped; few at a time, and little of them in memory. Each is checked once.

    ``remake``, where there is one, makes a damaged shard again.
    """

    def __init__(self, folder: Path, shards: Sequence[Shard], remake: RemakeShard | None = None) -> None:
        self.folder, self.shards, self.remake = folder, tuple(shards), remake
        self._maps: dict[int, MappedShard] = {}  # by number of the shard; the last used comes last
        self._checked: set[int] = set()
        self._touched: set[int] = set()
        self._read = 0

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_maps": {}, "_touched": set()}  # workers that are spawned map the files themselves

    def __getitem__(self, number: int) -> MappedShard:
        mapped = self._maps.pop(number, None)
        if mapped is None:
            mapped = self._map(self.shards[number], check=number not in self._checked)
            self._checked.add(number)
        self._maps[number] = mapped
        self._touched.add(number)
        if len(self._maps) > OPEN_SHARDS:
            oldest = next(iter(self._maps))
            del self._maps[oldest]
            self._touched.discard(oldest)
        return mapped

    def _map(self, shard: Shard, check: bool) -> MappedShard:
        try:
            return map_shard(self.folder, shard, check=check)
        except ValueError:
            if self.remake is None:
                raise
        self.remake(shard)
        return map_shard(self.folder, shard, check=True)

    def count(self, read: int) -> None:
        """Note that so many bytes were read; from time to time, return the memory of what was mapped."""
        self._read += read
        if self._read > READ_BYTES and sum(self.shards[number].bytes for number in self._touched) > KEPT_BYTES:
            for number in self._touched:
                self._maps[number].memory.madvise(mmap.MADV_DONTNEED)
            self._touched.clear()
            self._read = 0


class StoredScenes:
    """Rows of a store, in an order. Indexing reads them; ``select`` takes a part of them without reading."""

    def __init__(
        self,
        folder: Path,
        shards: Sequence[Shard],
        *,
        size: int | None = None,
        rows: Int[Tensor, " s"] | None = None,
        opened: MappedShards | None = None,
        remake: RemakeShard | None = None,
    ) -> None:
        """All scenes of some shards, or the given rows of them, in their order.

        Args:
            size: resize frames to so many pixels as they are read; None keeps the store's.
            opened: the same shards, where they are open already.
            remake: makes a damaged shard again; without it, damage is an error.
        """
        self.folder, self.shards, self.size = folder, tuple(shards), size
        self._starts = np.cumsum([0] + [shard.scenes for shard in shards])
        self.rows = torch.arange(int(self._starts[-1])) if rows is None else rows
        self._opened = opened or MappedShards(folder, shards, remake)

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, index: slice | Tensor) -> "StoredScenes":
        """The chosen scenes, still in the store."""
        return StoredScenes(self.folder, self.shards, size=self.size, rows=self.rows[index], opened=self._opened)

    @classmethod
    def joined(cls, parts: "Sequence[StoredScenes]") -> "StoredScenes":
        """The scenes of several splits of one store, one split after the other."""
        shards = [shard for part in parts for shard in part.shards]
        starts = np.cumsum([0] + [part._starts[-1] for part in parts]).tolist()
        rows = torch.cat([part.rows + start for part, start in zip(parts, starts, strict=False)])
        first = parts[0]
        return cls(first.folder, shards, size=first.size, rows=rows, remake=first._opened.remake)

    def __getitem__(self, index: slice | Tensor) -> Scenes:
        """A copy of the chosen scenes in memory; frames kept as JPEG are decoded.

        Raises:
            ValueError: where a shard is not the file that the index describes, or a frame cannot be decoded.
        """
        rows = self.rows[index]
        columns = self._gather(rows)
        frames = columns["frames"] if "frames" in columns else self._decode(rows)
        names = self._names(rows)
        self._opened.count(frames.nbytes)
        resized = frames if self.size is None else resize_frames(frames, self.size)
        return Scenes(resized, columns["cameras"], _factors(columns), names)

    @cached_property
    def factors(self) -> Factors | None:
        """The ground truth of all rows, where it is known."""
        return _factors(self._gather(self.rows, "factors."))

    @cached_property
    def cameras(self) -> Float[Tensor, "s v 5"]:
        """The raw cameras of all rows; frames are neither read nor decoded."""
        return self._gather(self.rows, "cameras")["cameras"]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The source's name of each scene."""
        return self._names(self.rows)

    @property
    def views(self) -> int:
        """Of each scene; 0 where there is no scene."""
        return self._opened[int(self.places.shards[0])].columns["cameras"].shape[1] if len(self) else 0

    @property
    def places(self) -> ShardPlaces:
        """Place of each row in the store."""
        return self._places(self.rows)

    @property
    def stable_ids(self) -> Int[Tensor, " s"]:
        """A number for each scene that depends on its piece and its place in it, whatever else is read."""
        shards, rows = self.places
        pieces = np.array([zlib.crc32(f"{shard.split}-{shard.piece}".encode()) for shard in self.shards])
        return torch.from_numpy((pieces[shards] << 24) + rows)

    def _places(self, rows: Int[Tensor, " s"]) -> ShardPlaces:
        shards = np.searchsorted(self._starts, rows.numpy(), side="right") - 1
        return ShardPlaces(shards, rows.numpy() - self._starts[shards])

    def _by_shard(self, rows: Int[Tensor, " s"]) -> Iterator[ShardRows]:
        """Yield the rows of one shard after the other, so that few need to be open."""
        shards, own_rows = self._places(rows)
        wanted: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for place, (shard, row) in enumerate(zip(shards.tolist(), own_rows.tolist(), strict=True)):
            places, in_shard = wanted[shard]
            places.append(place)
            in_shard.append(row)
        for shard, (places, in_shard) in wanted.items():
            yield ShardRows(self._opened[shard], places, in_shard)

    def _names(self, rows: Int[Tensor, " s"]) -> tuple[str, ...]:
        found: dict[int, str] = {}
        for shard, places, own_rows in self._by_shard(rows):
            found |= {place: shard.names[row] for place, row in zip(places, own_rows, strict=True)}
        return tuple(found[place] for place in range(len(rows)))

    def _gather(self, rows: Int[Tensor, " s"], prefix: str = "") -> dict[str, Tensor]:
        gathered: dict[str, np.ndarray] = {}
        for shard, places, own_rows in self._by_shard(rows):
            for name, column in shard.columns.items():
                if name in JPEG_COLUMNS or not name.startswith(prefix):
                    continue
                if name not in gathered:
                    gathered[name] = np.empty((len(rows), *column.shape[1:]), column.dtype)
                for place, row in zip(places, own_rows, strict=True):
                    gathered[name][place] = column[row]
        return {name: torch.from_numpy(column) for name, column in gathered.items()}

    def _decode(self, rows: Int[Tensor, " s"]) -> UInt8[Tensor, "s v c h w"]:
        images: dict[int, list[bytes]] = {}
        height = width = 0
        for shard, places, own_rows in self._by_shard(rows):
            ends, jpeg = shard.columns["ends"], shard.columns["jpeg"]
            height, width = shard.columns["size"].tolist()
            for place, row in zip(places, own_rows, strict=True):
                bounds = [ends[row - 1, -1] if row else 0, *ends[row]]
                images[place] = [jpeg[low:high].tobytes() for low, high in pairwise(bounds)]
        in_order = [image for place in range(len(rows)) for image in images[place]]
        return rearrange(decode_jpegs(in_order, height, width), "(s v) c h w -> s v c h w", s=len(rows))


SceneSource = Scenes | StoredScenes  # what has views, cameras, factors and names, and gives scenes by index


def scene_names(scenes: SceneSource) -> tuple[str, ...]:
    """What the source calls each scene, or its number: by it results are matched with images."""
    return scenes.names or tuple(map(str, range(len(scenes))))


def _factors(columns: Mapping[str, Tensor]) -> Factors | None:
    if "factors.shape" not in columns:
        return None
    return Factors(*(columns[f"factors.{f.name}"] for f in fields(Factors)))
