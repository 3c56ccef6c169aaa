"""Where scenes come from: each source says which independent pieces it has, and reads one.

A piece becomes one shard of the store, so pieces are what is prepared in parallel and what a fraction selects.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from gqn_probe.data.formats.deepmind import EncodedScenes
from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.data.stimuli.cameras import check_lens, lens_settings, make_lens
from gqn_probe.data.stimuli.ray_caster import BACKGROUNDS
from gqn_probe.data.stimuli.render import check_parts, render_batch
from gqn_probe.data.store.store import Index, read_index
from gqn_probe.types import Lens, Scenes

RENDERED_PIECE = 64  # scenes
RENDERER = 2  # raise it when the same settings give other images, so that no cache is taken for them


def choose(setting: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a setting that is none of its choices.

    Raises:
        ValueError: naming both.
    """
    if value not in choices:
        raise ValueError(f"data.{setting}={value} is not known: use {' or '.join(choices)}")


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

    def find_lens(self) -> Lens:
        """How its cameras see, as was set or as is known of the data."""
        ...

    def pieces(self) -> list[Piece]:
        """All there is to read, training first."""
        ...

    def limit(self, split: str) -> int | None:
        """How many of the split's scenes to use; None for all."""
        ...

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes | EncodedScenes:
        """The scenes of a piece.

        Raises:
            ValueError: naming file, record and reason, unless ``on_error`` takes it.
        """
        ...


@dataclass(frozen=True)
class Rendered:
    """Shepard-Metzler objects rendered by us; ``split_by`` "shape" keeps every shape to one split."""

    parts: int | tuple[int, ...]  # cubes an object; of several numbers each is as likely
    size: int
    views: int
    train: int
    val: int
    test: int
    seed: int
    background: str
    split_by: str
    lens: Lens

    def __post_init__(self) -> None:
        check_parts(self.parts)
        for name, least in {"size": 1, "views": 1, "train": 0, "val": 0, "test": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"data.{name}={getattr(self, name)} is too small: the least is {least}")
        choose("background", self.background, tuple(BACKGROUNDS))
        choose("split_by", self.split_by, ("shape", "scene"))
        if check_lens(self.lens).scale is None:
            raise ValueError("data.lens.scale=null cannot render: give half the width of the image")

    def identity(self) -> dict:
        names = ("parts", "size", "views", "seed", "background", "split_by")
        settings = {name: getattr(self, name) for name in names}
        settings |= {"parts": self.parts if isinstance(self.parts, int) else [*self.parts]}
        return {"kind": "shepard_metzler", "renderer": RENDERER} | settings | {"lens": lens_settings(self.lens)}

    def find_lens(self) -> Lens:
        return self.lens

    def pieces(self) -> list[Piece]:
        counts = {"train": self.train, "val": self.val, "test": self.test}
        return [
            Piece(split, f"{number:05d}")
            for split, count in counts.items()
            for number in range(math.ceil(count / RENDERED_PIECE))
        ]

    def limit(self, split: str) -> int | None:
        return {"train": self.train, "val": self.val, "test": self.test}[split]

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes:
        first = int(piece.name) * RENDERED_PIECE
        return self.render(torch.arange(first, first + RENDERED_PIECE), piece.split)

    def render(self, ids: Int[Tensor, " s"], split: str) -> Scenes:
        """The scenes of a split with these ids, on their device."""
        return render_batch(
            ids,
            views=self.views,
            parts=self.parts,
            size=self.size,
            seed=self.seed,
            stream=split,
            split=split if self.split_by == "shape" else None,
            background=self.background,
            lens=self.lens,
        )


@dataclass(frozen=True)
class PreparedStore:
    """A store that is complete already."""

    root: str
    size: int | None = None  # resize frames to it as they are read
    lens: Lens | None = None  # None for that of the source

    @cached_property
    def index(self) -> Index:
        return read_index(Path(self.root))

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

    def limit(self, split: str) -> None:
        return None

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> NoReturn:
        raise ValueError(f"the store {self.root} has no shard {piece.split}-{piece.name}")


def fraction_of(pieces: Sequence[Piece], fraction: float) -> list[Piece]:
    """The first ``fraction`` of the training pieces, rounded up, and all others.

    Raises:
        ValueError: where it is not in 0..1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction={fraction} is not in 0..1: 1 takes all training scenes")
    train = [piece for piece in pieces if piece.split == "train"]
    return train[: math.ceil(fraction * len(train))] + [piece for piece in pieces if piece.split != "train"]
