"""The interface of a source of scenes: independent pieces, each read on its own.

A piece becomes one shard of the store, so pieces are what is prepared in parallel and what a fraction selects.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from gqn_probe.data.formats.deepmind import EncodedScenes
from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.types import Lens, Scenes

SCENES_A_PIECE = 64  # where a source has no files of its own to go by
SHORTFALL = 0.01  # of the scenes asked for, that is accepted rather than to read another piece


class Piece(NamedTuple):
    """A part of a split that can be read on its own."""

    split: str
    name: str


@runtime_checkable
class Source(Protocol):
    """A source of scenes, from which a store is made."""

    def identity(self) -> dict:
        """Plain values that decide the content; the cache and the store are named and checked by them."""
        ...

    def find_lens(self) -> Lens:
        """Lens of its cameras, as was set or as is known of the data."""
        ...

    def pieces(self) -> list[Piece]:
        """All there is to read, training first."""
        ...

    def relative_size(self, piece: Piece) -> float:
        """Size of a piece: its number of scenes where that is known before it is read, else its bytes."""
        ...

    def scene_limit(self, split: str) -> int | None:
        """Number of the split's scenes to use; None for all."""
        ...

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes | EncodedScenes:
        """The scenes of a piece.

        Raises:
            ValueError: naming file, record and reason, unless ``on_error`` takes it.
        """
        ...


class TrainFraction(NamedTuple):
    """A fraction of the training pieces."""

    pieces: list[Piece]  # training first, then all of the other splits
    kept: float  # of the scenes in the training pieces, in 0..1
    part: float  # of all training scenes that lie in these pieces, in 0..1


def take_fraction(source: Source, fraction: float) -> TrainFraction:
    """The first pieces that hold ``fraction`` of the training scenes, and all pieces of other splits.

    Pieces may be of very different size, so their weights are added up, not their number.

    Raises:
        ValueError: where it is not in 0..1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"data.fraction={fraction} is not in 0..1: 1 takes all training scenes")
    pieces = source.pieces()
    train = [piece for piece in pieces if piece.split == "train"]
    others = [piece for piece in pieces if piece.split != "train"]
    if fraction == 1 or not train:
        return TrainFraction(train + others, 1.0, 1.0)
    weights = [source.relative_size(piece) for piece in train]
    total, taken, count = math.fsum(weights), 0.0, 0
    if not total:
        return TrainFraction(train + others, 1.0, 1.0)
    while taken < fraction * total * (1 - SHORTFALL):
        taken, count = taken + weights[count], count + 1
    return TrainFraction(train[:count] + others, min(1.0, fraction * total / taken), taken / total)


def check_size(size: int | None) -> None:
    """Refuse a size of frames that is no number of pixels.

    Raises:
        ValueError: naming it.
    """
    if size is not None and size < 1:
        raise ValueError(f"data.size={size} is no number of pixels: give at least 1, or null for the source's own")
