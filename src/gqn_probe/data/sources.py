"""Where scenes come from: each source says which independent pieces it has, and reads one.

A piece becomes one shard of the store, so pieces are what is prepared in parallel and what a fraction selects.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from gqn_probe.data.converted import read_converted
from gqn_probe.data.files import file_sizes, resolve
from gqn_probe.data.jpeg import resize_frames
from gqn_probe.data.records import raise_error
from gqn_probe.data.render import BACKGROUNDS, render_batch
from gqn_probe.data.store import Index, read_index
from gqn_probe.data.tfrecord import EncodedScenes, decode_scenes, read_encoded
from gqn_probe.types import Scenes

RENDERED_PIECE = 64  # scenes


class Published(NamedTuple):
    """What a scene of a published dataset looks like."""

    views: int | None
    frame: int | None  # pixels


# github.com/google-deepmind/gqn-datasets
DATASETS = {
    "jaco": Published(11, 64),
    "mazes": Published(300, 84),
    "rooms_ring_camera": Published(10, 64),
    "rooms_free_camera_no_object_rotations": Published(10, 64),
    "rooms_free_camera_with_object_rotations": Published(10, 128),
    "shepard_metzler_5_parts": Published(15, 64),
    "shepard_metzler_7_parts": Published(15, 64),
}


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

    parts: int
    size: int
    views: int
    train: int
    val: int
    test: int
    seed: int
    background: str
    split_by: str

    def __post_init__(self) -> None:
        choose("background", self.background, tuple(BACKGROUNDS))
        choose("split_by", self.split_by, ("shape", "scene"))

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
        )


@dataclass(frozen=True)
class DatasetFiles:
    """A published dataset, in a folder or behind a URL: DeepMind's TFRecords or the PyTorch port's files.

    Each file of ROOT/{train,test} or ROOT/NAME/{train,test} is a piece.
    """

    kind: Literal["deepmind", "converted"]
    root: str
    name: str
    size: int | None  # resize frames to it
    frames: str  # raw or jpeg: jpeg keeps the bytes of the source

    def __post_init__(self) -> None:
        choose("frames", self.frames, ("raw", "jpeg"))
        if self.frames == "jpeg" and self.kind == "converted":
            raise ValueError("data.frames=jpeg: converted files hold no JPEG, use data.frames=raw")
        if self.frames == "jpeg" and self.size is not None:
            raise ValueError(
                f"data.frames=jpeg keeps the frames as they are: use data.frames=raw with data.size={self.size}"
            )

    def identity(self) -> dict:
        listing = sorted((piece.split, piece.name, size) for piece, size in self._files.items())
        digest = hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:16]
        return asdict(self) | {"root": self._folder, "files": digest}

    @property
    def _suffix(self) -> str:
        return {"deepmind": ".tfrecord", "converted": ".pt.gz"}[self.kind]

    @cached_property
    def _folder(self) -> str:
        root = resolve(self.root)
        for folder in (root, f"{root}/{self.name}"):
            if file_sizes(f"{folder}/train", self._suffix):
                return folder
        wanted = f"{self.name}/train/*{self._suffix}"
        raise ValueError(f"data.root={self.root} has no {wanted}: give the folder of the dataset or the one above")

    @cached_property
    def _files(self) -> dict[Piece, int]:
        return {
            Piece(split, file.removesuffix(self._suffix)): size
            for split in ("train", "test")
            for file, size in file_sizes(f"{self._folder}/{split}", self._suffix).items()
        }

    def pieces(self) -> list[Piece]:
        return list(self._files)

    def limit(self, split: str) -> None:
        return None

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes | EncodedScenes:
        path = f"{self._folder}/{piece.split}/{piece.name}{self._suffix}"
        if self.kind == "converted":
            scenes = read_converted(path)
        else:
            published = DATASETS.get(Path(self._folder).name, DATASETS.get(self.name, Published(None, None)))
            encoded = read_encoded(path, views=published.views, frame=published.frame, on_error=on_error)
            scenes, encoded = decode_scenes(encoded, on_error)
            if self.frames == "jpeg":
                return encoded
        return scenes if self.size is None else replace(scenes, frames=resize_frames(scenes.frames, self.size))


@dataclass(frozen=True)
class PreparedStore:
    """A store that is complete already."""

    root: str

    @cached_property
    def _index(self) -> Index:
        return read_index(Path(self.root))

    def identity(self) -> dict:
        return self._index.source

    def pieces(self) -> list[Piece]:
        return [Piece(shard.split, shard.piece) for shard in sorted(self._index.shards, key=lambda shard: shard.file)]

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
