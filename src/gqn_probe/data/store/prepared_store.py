"""A complete store as a source of scenes: a folder, or a URL whose shards are fetched as they are read."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gqn_probe.data.formats.remote import resolve
from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.data.sources.source import Piece, check_size
from gqn_probe.data.stimuli.cameras import make_lens
from gqn_probe.data.store.remote_shards import RemoteShards
from gqn_probe.data.store.store import Index, Shard, read_index
from gqn_probe.types import Lens, Scenes


@dataclass(frozen=True)
class PreparedStore:
    """What ``python -m gqn_probe.data.prepare`` made; nothing is ever added to it."""

    root: str  # a folder, or a URL that fsspec opens
    size: int | None  # resize frames to it as they are read
    lens: Lens | None  # None for that of the source
    cache: str  # folder of folders for shards that are fetched
    kept_gb: float  # of fetched shards, on disk
    window: int  # of a URL: scenes that are shuffled together, shard after shard

    def __post_init__(self) -> None:
        check_size(self.size)
        for name in ("kept_gb", "window"):
            if getattr(self, name) <= 0:
                raise ValueError(f"data.{name}={getattr(self, name)} must be above 0")

    @cached_property
    def remote(self) -> RemoteShards | None:
        """What fetches shards; None for a folder."""
        if "://" not in self.root:
            return None
        root = resolve(self.root)
        name = hashlib.sha256(root.encode()).hexdigest()[:16]
        return RemoteShards(root, Path(self.cache) / f"fetched-{name}", round(self.kept_gb * 1e9))

    @property
    def remake(self) -> Callable[[Shard], None] | None:
        """What makes a shard that is not there, or damaged, whole."""
        return self.remote and self.remote.fetch

    @property
    def folder(self) -> Path:
        """Where shards are read from."""
        return Path(self.root).expanduser() if self.remote is None else self.remote.folder

    @cached_property
    def index(self) -> Index:
        return read_index(self.folder) if self.remote is None else self.remote.index()

    def identity(self) -> dict:
        return self.index.source

    def find_lens(self) -> Lens:
        if self.lens is not None:
            return self.lens
        if self.index.lens is None:
            raise ValueError(f"the store {self.root} has no lens: set data.lens, or prepare it again")
        return make_lens(self.index.lens)

    def pieces(self) -> list[Piece]:
        return [Piece(shard.split, shard.piece) for shard in sorted(self.index.shards, key=lambda shard: shard.file)]

    def weight(self, piece: Piece) -> int:
        return self._scenes[piece]

    @cached_property
    def _scenes(self) -> dict[Piece, int]:
        return {Piece(shard.split, shard.piece): shard.scenes for shard in self.index.shards}

    def limit(self, split: str) -> None:
        return None

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes:
        raise ValueError(f"the store {self.root} has no shard {piece.split}-{piece.name}")
