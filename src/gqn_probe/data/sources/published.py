"""Published datasets as a source of scenes: DeepMind's TFRecords, or files that other ports made of them.

See github.com/google-deepmind/gqn-datasets; each file is a piece.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from gqn_probe.choices import check_choice
from gqn_probe.data.formats import ports
from gqn_probe.data.formats.deepmind import EncodedScenes, decode_scenes, read_encoded
from gqn_probe.data.formats.ports import read_converted
from gqn_probe.data.formats.remote import file_sizes, resolve_root
from gqn_probe.data.formats.resize import RESIZE_VERSION, resize_frames
from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.data.sources.source import Piece, check_size, json_digest
from gqn_probe.types import Lens, Scenes


class DatasetFacts(NamedTuple):
    """Frame size, number of views and lens of a published dataset."""

    views: int | None
    frame: int | None  # pixels
    lens: Lens


# No field of view is published (gqn-datasets, issue 15), so the scale is learned. Camera positions of rooms, mazes and
# jaco are in -1..1 (ogroth/tf-gqn, gqn_predictor.py), which the room spans. Cameras of objects keep a fixed distance,
# in units that are not published.
OBJECT = Lens("perspective", scale=None, radius=1.0)
ROOM = Lens("perspective", scale=None, radius=1.0, box=(1.0, 1.0, 0.5))

# github.com/google-deepmind/gqn-datasets
DATASETS = {
    "jaco": DatasetFacts(11, 64, ROOM),
    "mazes": DatasetFacts(300, 84, ROOM),
    "rooms_ring_camera": DatasetFacts(10, 64, ROOM),
    "rooms_free_camera_no_object_rotations": DatasetFacts(10, 64, ROOM),
    "rooms_free_camera_with_object_rotations": DatasetFacts(10, 128, ROOM),
    "shepard_metzler_5_parts": DatasetFacts(15, 64, OBJECT),
    "shepard_metzler_7_parts": DatasetFacts(15, 64, OBJECT),
}


Kind = Literal["deepmind", "converted"]
PUBLISHED_SPLITS = ("train", "test")
SUFFIXES: dict[Kind, tuple[str, ...]] = {"deepmind": (".tfrecord",), "converted": ports.SUFFIXES}


@dataclass(frozen=True)
class PublishedScenes:
    """A published dataset in a folder or behind a URL.

    Each file of ROOT/{train,test} or ROOT/NAME/{train,test} is a piece.
    """

    kind: Kind
    root: str
    name: str
    size: int | None  # resize frames to it
    frames: str | None = None  # encoding in the store: raw, jpeg for the bytes of the source, or None for the default
    lens: Lens | None = None  # None for that of the dataset

    def __post_init__(self) -> None:
        check_size(self.size)
        check_choice("data.frames", self.encoding, ("raw", "jpeg"))
        if self.encoding == "jpeg" and self.kind == "converted":
            raise ValueError("data.frames=jpeg: converted files hold no JPEG, use data.frames=raw")
        if self.encoding == "jpeg" and self.size is not None:
            raise ValueError(
                f"data.frames=jpeg keeps the frames as they are: use data.frames=raw with data.size={self.size}"
            )

    @property
    def encoding(self) -> str:
        """Encoding of frames in a store; by default, JPEGs of TFRecords are kept unless they are resized."""
        return self.frames or ("jpeg" if self.kind == "deepmind" and self.size is None else "raw")

    def identity(self) -> dict:
        listing = sorted((*piece, size) for piece, (_, size) in self._files.items())
        settings = {"kind": self.kind, "root": self._folder, "name": self.name, "size": self.size}
        settings |= {"frames": self.encoding, "files": json_digest(listing)}
        return settings if self.size is None else settings | {"resize": RESIZE_VERSION}

    def find_lens(self) -> Lens:
        return self.lens or self._published.lens

    @property
    def _published(self) -> DatasetFacts:
        return DATASETS.get(Path(self._folder).name, DATASETS.get(self.name, DatasetFacts(None, None, OBJECT)))

    @cached_property
    def _folder(self) -> str:
        root, suffixes = resolve_root(self.root), SUFFIXES[self.kind]
        for folder in (root, f"{root}/{self.name}"):
            if any(file_sizes(f"{folder}/{split}", suffixes) for split in PUBLISHED_SPLITS):
                return folder
        wanted = " or ".join(f"{self.name}/{split}/*{suffixes[0]}" for split in PUBLISHED_SPLITS)
        raise ValueError(f"data.root={self.root} has no {wanted}: give the folder of the dataset or the one above")

    @cached_property
    def _files(self) -> dict[Piece, tuple[str, int]]:
        """Path and size (bytes) of each piece."""
        files, suffixes = {}, SUFFIXES[self.kind]
        for split in PUBLISHED_SPLITS:
            for name, size in file_sizes(f"{self._folder}/{split}", suffixes).items():
                suffix = next(suffix for suffix in suffixes if name.endswith(suffix))
                files[Piece(split, name.removesuffix(suffix))] = f"{self._folder}/{split}/{name}", size
        return files

    def pieces(self) -> list[Piece]:
        return list(self._files)

    def relative_size(self, piece: Piece) -> int:
        return self._files[piece][1]

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes | EncodedScenes:
        path, _ = self._files[piece]
        if self.kind == "converted":
            scenes = read_converted(path)
        else:
            views, frame, _ = self._published
            encoded = read_encoded(path, views=views, frame=frame, on_error=on_error)
            scenes, encoded = decode_scenes(encoded, on_error)
            if self.encoding == "jpeg":
                return encoded
        return scenes if self.size is None else replace(scenes, frames=resize_frames(scenes.frames, self.size))
