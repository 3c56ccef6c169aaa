"""A finished store as a source of scenes: a folder, or a URL whose shards are downloaded when they are first read."""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock

from gqn_probe.atomic_io import atomic_write
from gqn_probe.data.formats.remote import fetch, resolve_root
from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.data.sources.source import Piece, check_size
from gqn_probe.data.stimuli.cameras import make_lens
from gqn_probe.data.store.shard_file import damage_of
from gqn_probe.data.store.store_index import Index, Shard, read_index
from gqn_probe.types import Lens, Scenes

LOCKS = 64  # lock files, so that processes which download different shards rarely wait for each other


@dataclass(frozen=True)
class PreparedStore:
    """Store that ``python -m gqn_probe.data.prepare`` made; it is only read.

    Shards behind a URL are kept in a folder that any number of processes may share; a deleted shard stays readable in
    processes that have mapped it.
    """

    root: str  # a folder, or a URL that fsspec opens
    size: int | None  # resize frames to it as they are read
    lens: Lens | None  # None for that in the index
    cache: str  # folder below which downloaded shards are kept
    kept_gb: float  # of downloaded shards, on disk
    window: int  # of a URL: length of the shuffle buffer, in scenes

    def __post_init__(self) -> None:
        check_size(self.size)
        for name in ("kept_gb", "window"):
            if getattr(self, name) <= 0:
                raise ValueError(f"data.{name}={getattr(self, name)} must be above 0")

    @property
    def streamed(self) -> int | None:
        """Length of the shuffle buffer of a store behind a URL; None for a folder, all of which is shuffled."""
        return self.window if "://" in self.root else None

    @cached_property
    def folder(self) -> Path:
        """Local folder that shards are read from."""
        if not self.streamed:
            return Path(self.root).expanduser()
        return Path(self.cache) / f"fetched-{hashlib.sha256(resolve_root(self.root).encode()).hexdigest()[:16]}"

    @cached_property
    def index(self) -> Index:
        if self.streamed:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._download("index.json")
        return read_index(self.folder)

    @property
    def remake(self) -> Callable[[Shard], None] | None:
        """Function that replaces a missing or damaged shard; None for a folder."""
        return self._fetch if self.streamed else None

    def _fetch(self, shard: Shard) -> None:
        """Download a shard unless an undamaged copy exists; the oldest other shards are deleted to make room."""
        with FileLock(self.folder / f"fetch-{zlib.crc32(shard.file.encode()) % LOCKS:02d}.lock"):
            if damage_of(self.folder, shard) is None:
                return
            for oldest in self._oldest_beyond(round(self.kept_gb * 1e9) - shard.bytes):
                oldest.unlink(missing_ok=True)
            self._download(shard.file)

    def _download(self, name: str) -> None:
        with atomic_write(self.folder / name) as draft:
            draft.write_bytes(fetch(f"{resolve_root(self.root)}/{name}"))

    def _oldest_beyond(self, room: int) -> Iterator[Path]:
        """Yield the oldest shards, those to delete so that the others fit into ``room`` bytes."""
        found = []
        for path in self.folder.glob("*.safetensors"):
            with suppress(FileNotFoundError):  # which another process has just removed
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, path))
        for _, size, path in sorted(found, reverse=True):
            room -= size
            if room < 0:
                yield path

    def index_with(self, pieces: Sequence[Piece]) -> Index:
        """Return the index, which holds all pieces."""
        return self.index

    def identity(self) -> dict:
        return self.index.source

    def find_lens(self) -> Lens:
        if self.lens is not None:
            return self.lens
        if self.index.lens is None:
            raise ValueError(f"the store {self.root} has no lens: set data.lens, or prepare it again")
        try:
            return make_lens(self.index.lens)
        except ValueError as error:
            raise ValueError(f"{self.root}/index.json: {error}") from None

    def pieces(self) -> list[Piece]:
        return [Piece(shard.split, shard.piece) for shard in sorted(self.index.shards, key=lambda shard: shard.file)]

    def relative_size(self, piece: Piece) -> int:
        return self._scenes[piece]

    @cached_property
    def _scenes(self) -> dict[Piece, int]:
        return {Piece(shard.split, shard.piece): shard.scenes for shard in self.index.shards}

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes:
        raise ValueError(f"the store {self.root} has no shard {piece.split}-{piece.name}")
