"""Scenes of a store, read from its memory-mapped shards on indexing, so that they need not fit into memory."""

import mmap
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gqn_probe.data.formats.jpeg import decode_jpegs
from gqn_probe.data.formats.resize import resize_frames
from gqn_probe.data.store.shard_file import FACTORS, JPEG_COLUMNS, MappedShard, map_shard
from gqn_probe.data.store.store_index import Shard
from gqn_probe.types import Factors, Scenes

READ_BYTES = 16 << 20  # read between releases of memory; the kernel maps up to 20 times as much
KEPT_BYTES = 256 << 20  # total size of shards that stay in memory: mapping them again takes time
OPEN_SHARDS = 256  # each takes a file descriptor, of which a process often may have 1024
RemakeShard = Callable[[Shard], None]


class ShardRows(NamedTuple):
    """Requested rows that lie in one shard: their positions in the request, and their rows in the shard."""

    shard: MappedShard
    places: Int[np.ndarray, " a"]
    rows: Int[np.ndarray, " a"]


class MappedShards:
    """Shards of a store by number, mapped on first use and checked once; few are open at a time.

    Args:
        remake: rebuilds a damaged shard; without it, damage is an error.
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

    def count_read(self, read: int) -> None:
        """Count bytes that were read, and from time to time release the memory of mapped shards."""
        self._read += read
        if self._read > READ_BYTES and sum(self.shards[number].bytes for number in self._touched) > KEPT_BYTES:
            for number in self._touched:
                self._maps[number].memory.madvise(mmap.MADV_DONTNEED)
            self._touched.clear()
            self._read = 0


class StoredScenes:
    """Selected scenes of a store, in an order. Indexing reads them; ``select`` takes a subset without reading."""

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
        """Take all scenes of some shards, or the given rows of them.

        Args:
            size: height and width to resize frames to; None keeps those of the store.
            opened: the same shards, if they are open already.
            remake: rebuilds a damaged shard; without it, damage is an error.
        """
        self.folder, self.shards, self.size = folder, tuple(shards), size
        self._starts = np.cumsum([0] + [shard.scenes for shard in shards])
        self.rows = torch.arange(int(self._starts[-1])) if rows is None else rows
        self._opened = opened or MappedShards(folder, shards, remake)

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, index: slice | Tensor) -> "StoredScenes":
        """Select scenes without reading them."""
        return StoredScenes(self.folder, self.shards, size=self.size, rows=self.rows[index], opened=self._opened)

    @classmethod
    def joined(cls, parts: "Sequence[StoredScenes]") -> "StoredScenes":
        """Concatenate the scenes of several splits of one store."""
        shards = [shard for part in parts for shard in part.shards]
        starts = np.cumsum([0] + [part._starts[-1] for part in parts]).tolist()
        rows = torch.cat([part.rows + start for part, start in zip(parts, starts, strict=False)])
        first = parts[0]
        return cls(first.folder, shards, size=first.size, rows=rows, remake=first._opened.remake)

    def __getitem__(self, index: slice | Tensor) -> Scenes:
        """Read the chosen scenes into memory; JPEGs are decoded. A ValueError names a damaged shard."""
        rows = self.rows[index]
        columns = self._gather(rows)
        frames = columns["frames"] if "frames" in columns else self._decode(rows)
        names = self._names(rows)
        self._opened.count_read(frames.nbytes)
        resized = frames if self.size is None else resize_frames(frames, self.size)
        return Scenes(resized, columns["cameras"], _factors(columns), names)

    @cached_property
    def factors(self) -> Factors | None:
        """Ground truth of all scenes; None if unknown."""
        return _factors(self._gather(self.rows, "factors."))

    @cached_property
    def cameras(self) -> Float[Tensor, "s v 5"]:
        """Raw cameras of all scenes; frames are neither read nor decoded."""
        return self._gather(self.rows, "cameras")["cameras"]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each scene in its source."""
        return self._names(self.rows)

    @property
    def views(self) -> int:
        """Number of views of each scene; 0 if there is no scene."""
        return self._opened[int(self.shard_numbers[0])].columns["cameras"].shape[1] if len(self) else 0

    @property
    def shard_numbers(self) -> Int[Tensor, " s"]:
        """Number of the shard that each scene lies in."""
        return torch.from_numpy(self._places(self.rows)[0])

    @property
    def stable_ids(self) -> Int[Tensor, " s"]:
        """An id for each scene that depends on its piece and its row in it alone, not on what else is read."""
        shards, rows = self._places(self.rows)
        pieces = np.array([zlib.crc32(f"{shard.split}-{shard.piece}".encode()) for shard in self.shards])
        return torch.from_numpy((pieces[shards] << 24) + rows)

    def _places(self, rows: Int[Tensor, " s"]) -> tuple[Int[np.ndarray, " s"], Int[np.ndarray, " s"]]:
        """Return the number of each row's shard, and its row in that shard."""
        shards = np.searchsorted(self._starts, rows.numpy(), side="right") - 1
        return shards, rows.numpy() - self._starts[shards]

    def _by_shard(self, rows: Int[Tensor, " s"]) -> Iterator[ShardRows]:
        """Group rows by shard, and yield one shard after the other, so that few need to be open."""
        shards, in_shard = self._places(rows)
        order = shards.argsort(kind="stable")
        for places in np.split(order, np.diff(shards[order]).nonzero()[0] + 1):
            if len(places):
                yield ShardRows(self._opened[int(shards[places[0]])], places, in_shard[places])

    def _names(self, rows: Int[Tensor, " s"]) -> tuple[str, ...]:
        names = [""] * len(rows)
        for shard, places, in_shard in self._by_shard(rows):
            for place, row in zip(places, in_shard, strict=True):
                names[place] = shard.names[row]
        return tuple(names)

    def _gather(self, rows: Int[Tensor, " s"], prefix: str = "") -> dict[str, Tensor]:
        """Read the columns whose names begin with ``prefix``, without those of JPEGs."""
        gathered: dict[str, np.ndarray] = {}
        for shard, places, in_shard in self._by_shard(rows):
            columns = {n: c for n, c in shard.columns.items() if n.startswith(prefix) and n not in JPEG_COLUMNS}
            gathered = gathered or {n: np.empty((len(rows), *c.shape[1:]), c.dtype) for n, c in columns.items()}
            if columns.keys() != gathered.keys():
                raise ValueError(f"{self.folder} mixes shards with {sorted(columns)} and with {sorted(gathered)}")
            for name, column in columns.items():
                gathered[name][places] = column[in_shard]
        return {name: torch.from_numpy(column) for name, column in gathered.items()}

    def _decode(self, rows: Int[Tensor, " s"]) -> UInt8[Tensor, "s v c h w"]:
        images: list[list[bytes]] = [[] for _ in rows]
        height = width = 0
        for shard, places, in_shard in self._by_shard(rows):
            ends, jpeg = shard.columns["ends"], shard.columns["jpeg"]
            height, width = shard.columns["size"].tolist()
            for place, row in zip(places, in_shard, strict=True):
                bounds = [ends[row - 1, -1] if row else 0, *ends[row]]
                images[place] = [jpeg[low:high].tobytes() for low, high in pairwise(bounds)]
        frames = decode_jpegs(list(chain.from_iterable(images)), height, width)
        return rearrange(frames, "(s v) c h w -> s v c h w", s=len(rows))


SceneSource = Scenes | StoredScenes  # both have views, cameras, factors and names, and are indexed by scene


def scene_names(scenes: SceneSource) -> tuple[str, ...]:
    """Return the name of each scene in its source, or else its index; results refer to scenes by it."""
    return scenes.names or tuple(map(str, range(len(scenes))))


def _factors(columns: Mapping[str, Tensor]) -> Factors | None:
    return Factors(*(columns[name] for name in FACTORS)) if FACTORS[0] in columns else None
