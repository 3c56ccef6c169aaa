"""Shards of a store behind a URL: fetched when they are first read, and kept in a folder while there is room."""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from gqn_probe.atomic_io import atomic_write
from gqn_probe.data.formats.remote import fetch
from gqn_probe.data.store.store import Index, Shard, checksum_of, read_index

LOCKS = 64  # files; processes that fetch other shards seldom wait for each other


@dataclass(frozen=True)
class RemoteShards:
    """The store at ``root``, of which ``folder`` keeps at most ``kept`` bytes.

    Any number of processes share the folder; a shard that is removed stays readable where it is mapped.
    """

    root: str
    folder: Path
    kept: int

    def index(self) -> Index:
        """The index, fetched anew.

        Raises:
            ValueError: naming the URL, where it cannot be read or is no index.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write("index.json")
        return read_index(self.folder)

    def fetch(self, shard: Shard) -> None:
        """Fetch a shard, unless it is there and whole; the shards that were fetched first make room.

        Raises:
            ValueError: naming the URL, where every attempt to read it breaks.
        """
        with FileLock(self.folder / f"fetch-{zlib.crc32(shard.file.encode()) % LOCKS:02d}.lock"):
            path = self.folder / shard.file
            if shard.size_in(self.folder) == shard.bytes and checksum_of(path) == shard.crc32c:
                return
            for oldest in self._beyond(self.kept - shard.bytes):
                oldest.unlink(missing_ok=True)
            self._write(shard.file)

    def _write(self, name: str) -> None:
        with atomic_write(self.folder / name) as draft:
            draft.write_bytes(fetch(f"{self.root}/{name}"))

    def _beyond(self, room: int) -> Iterator[Path]:
        """The oldest shards, without which the others fit into so many bytes."""
        found = []
        for path in self.folder.glob("*.safetensors"):
            with suppress(FileNotFoundError):  # which another process has just removed
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, path))
        for _, size, path in sorted(found, reverse=True):
            room -= size
            if room < 0:
                yield path
