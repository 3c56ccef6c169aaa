"""Where scenes come from: each source says which independent pieces it has, and reads one.

A piece becomes one shard of the store, so pieces are what is prepared in parallel and what a fraction selects.
"""

import math
from dataclasses import asdict, dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from ..types import Scenes
from .render import Background, render_scenes

RENDERED_PIECE = 64


class Piece(NamedTuple):
    """A part of a split that can be read on its own."""

    split: str
    name: str


@runtime_checkable
class Source(Protocol):
    """What the store is made from."""

    def identity(self) -> dict:
        """Plain values that decide the content; the cache and the store are named and checked by them."""
        ...

    def pieces(self) -> list[Piece]:
        """All there is to read, training first."""
        ...

    def limit(self, split: str) -> int | None:
        """How many of the split's scenes to use; None for all."""
        ...

    def read(self, piece: Piece) -> Scenes:
        """The scenes of a piece."""
        ...


@dataclass(frozen=True)
class Rendered:
    """Shepard-Metzler objects rendered by us; ``split_by`` "shape" keeps every shape to one split."""

    parts: int
    size: int
    views: int
    train: int
    val: int
    test: int
    seed: int
    background: Background
    split_by: str

    def identity(self) -> dict:
        counts = ("train", "val", "test")
        return {"kind": "shepard_metzler"} | {k: v for k, v in asdict(self).items() if k not in counts}

    def pieces(self) -> list[Piece]:
        counts = {"train": self.train, "val": self.val, "test": self.test}
        return [
            Piece(split, f"{number:05d}")
            for split, count in counts.items()
            for number in range(math.ceil(count / RENDERED_PIECE))
        ]

    def limit(self, split: str) -> int | None:
        return {"train": self.train, "val": self.val, "test": self.test}[split]

    def read(self, piece: Piece) -> Scenes:
        return render_scenes(
            RENDERED_PIECE,
            views=self.views,
            parts=self.parts,
            size=self.size,
            seed=self.seed,
            stream=piece.split,
            split=piece.split if self.split_by == "shape" else None,
            first=int(piece.name) * RENDERED_PIECE,
            background=self.background,
        )
