"""Interface of a source of scenes, which is divided into pieces that are read independently.

A piece becomes one shard of the store; pieces are prepared in parallel, and selected by ``data.fraction``.
"""

import hashlib
import json
import math
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from gqn_probe.data.formats.deepmind import EncodedScenes
from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.types import Lens, Scenes

SCENES_A_PIECE = 64  # of sources that are not divided into files
SHORTFALL = 0.01  # of the requested scenes, accepted rather than reading another piece


class Piece(NamedTuple):
    """Name of a part of a split that is read on its own."""

    split: str
    name: str


@runtime_checkable
class Source(Protocol):
    """Scenes from which a store is made."""

    def identity(self) -> dict:
        """Return JSON values that determine the content; caches are named, and stores checked, by them."""
        ...

    def find_lens(self) -> Lens:
        """Return the lens of the cameras, as set or as known of the data."""
        ...

    def pieces(self) -> list[Piece]:
        """Return all pieces, training first."""
        ...

    def relative_size(self, piece: Piece) -> float:
        """Return the size of a piece: its number of scenes if known without reading it, else its bytes."""
        ...

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes | EncodedScenes:
        """Read the scenes of a piece.

        Args:
            on_error: called with a ValueError for each unreadable scene, which is then left out; the default raises it.

        Raises:
            ValueError: names file, record and reason.
        """
        ...


class TrainFraction(NamedTuple):
    """Pieces that hold a fraction of the training scenes."""

    pieces: list[Piece]  # training first, then all of the other splits
    kept: float  # fraction of the scenes in these training pieces to use, in 0..1
    part: float  # fraction of all training scenes that lie in these pieces, in 0..1


def take_fraction(source: Source, fraction: float) -> TrainFraction:
    """Select the first pieces that hold ``fraction`` of the training scenes, and all pieces of other splits.

    Pieces may differ much in size, so sizes are added up, not numbers of pieces.

    Raises:
        ValueError: ``fraction`` is not in (0, 1].
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


def json_digest(content: object) -> str:
    """Return a hash (16 hex digits) of a JSON value."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def check_size(size: int | None) -> None:
    """Raise ValueError for a frame size below 1."""
    if size is not None and size < 1:
        raise ValueError(f"data.size={size} is no number of pixels: give at least 1, or null for the source's own")
