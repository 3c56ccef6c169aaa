"""A complete store as a source of scenes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.data.sources.source import Piece, check_size
from gqn_probe.data.stimuli.cameras import make_lens
from gqn_probe.data.store.store import Index, read_index
from gqn_probe.types import Lens, Scenes


@dataclass(frozen=True)
class PreparedStore:
    """A folder that ``python -m gqn_probe.data.prepare`` made; nothing is ever added to it."""

    root: str
    size: int | None = None  # resize frames to it as they are read
    lens: Lens | None = None  # None for that of the source

    def __post_init__(self) -> None:
        check_size(self.size)

    @cached_property
    def index(self) -> Index:
        return read_index(Path(self.root).expanduser())

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
