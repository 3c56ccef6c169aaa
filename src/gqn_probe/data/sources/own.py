"""Your own scenes: a folder of images and a table of cameras.

``cameras.csv`` has the columns ``scene,image,x,y,z,yaw,pitch`` and, if wanted, ``split`` (train, val or test): one row
an image, its path relative to the folder, in radians; rows of one scene stand together and all scenes have as many.
Images are anything that Pillow reads, of 8 bits a channel and opaque.
"""

import csv
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO, StringIO
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from gqn_probe.data.formats.remote import fetch, file_versions, resolve
from gqn_probe.data.formats.resize import RESIZE, resize_frames
from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.data.sources.source import Piece
from gqn_probe.types import Lens, Scenes

COLUMNS = ("scene", "image", "x", "y", "z", "yaw", "pitch")
PIECE = 64  # scenes


class View(NamedTuple):
    """One row of the table."""

    image: str
    camera: tuple[float, ...]  # 5


class OwnScene(NamedTuple):
    """The rows of one scene."""

    name: str
    views: list[View]


@dataclass(frozen=True)
class OwnScenes:
    """A folder (or URL) of images with ``cameras.csv``."""

    root: str
    size: int | None  # resize frames to it
    lens: Lens

    def identity(self) -> dict:
        digest = hashlib.sha256(self._table)
        digest.update(json.dumps(self._images()).encode())
        resized = {} if self.size is None else {"resize": RESIZE}
        content = {"size": self.size, "content": digest.hexdigest()[:16]} | resized
        return {"kind": "own", "root": resolve(self.root)} | content

    def find_lens(self) -> Lens:
        return self.lens

    def _images(self) -> list[str]:
        """The version of each image in the table."""
        versions = file_versions(resolve(self.root))
        images = {view.image for scenes in self._scenes.values() for scene in scenes for view in scene.views}
        return [f"{image} {versions.get(image)}" for image in sorted(images)]

    @cached_property
    def _table(self) -> bytes:
        return fetch(f"{resolve(self.root)}/cameras.csv")

    @cached_property
    def _scenes(self) -> dict[str, list[OwnScene]]:
        """The scenes of each split, checked."""
        try:
            text = self._table.decode("utf-8-sig")  # as spreadsheets write it
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.root}/cameras.csv is not UTF-8 ({error.reason}): save it as UTF-8") from None
        reader = csv.DictReader(StringIO(text), skipinitialspace=True)
        absent = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if absent:
            raise ValueError(
                f"{self.root}/cameras.csv has no column {', '.join(absent)}: expected {', '.join(COLUMNS)}"
            )
        splits: dict[str, list[OwnScene]] = {"train": [], "val": [], "test": []}
        rows = [(number, row) for number, row in enumerate(reader, start=2)]
        if not rows:
            raise ValueError(f"{self.root}/cameras.csv has no rows: expected one an image")
        names: set[str] = set()
        for (split, name), group in groupby(rows, lambda item: (item[1].get("split") or "train", item[1]["scene"])):
            if split not in splits:
                raise ValueError(f"{self.root}/cameras.csv: split {split!r} of scene {name} is not train, val or test")
            if name in names:
                raise ValueError(f"{self.root}/cameras.csv: the rows of scene {name} stand apart or in several splits")
            names.add(name)
            splits[split].append(OwnScene(name, [_view(row, f"{self.root}/cameras.csv, line {n}") for n, row in group]))
        counts = {len(scene.views): scene.name for scenes in splits.values() for scene in scenes}
        if len(counts) != 1:
            raise ValueError(f"{self.root}/cameras.csv: scenes have different numbers of views: {counts}")
        return splits

    def pieces(self) -> list[Piece]:
        return [
            Piece(split, f"{number:05d}")
            for split, scenes in self._scenes.items()
            for number in range(math.ceil(len(scenes) / PIECE))
        ]

    def weight(self, piece: Piece) -> int:
        first = int(piece.name) * PIECE
        return len(self._scenes[piece.split][first : first + PIECE])

    def limit(self, split: str) -> None:
        return None

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes:
        first = int(piece.name) * PIECE
        frames, cameras = [], []
        for scene in self._scenes[piece.split][first : first + PIECE]:
            try:
                images = [self._image(view.image) for view in scene.views]
                sizes = {tuple(image.shape[1:]) for image in [*images, *(seen[0] for seen in frames[:1])]}
                if len(sizes) > 1:
                    raise ValueError(f"images of different sizes {sorted(sizes)}: set data.size to resize them")
            except ValueError as error:
                on_error(ValueError(f"{self.root}, scene {scene.name}: {error}"))
            else:
                frames.append(torch.stack(images))
                cameras.append([view.camera for view in scene.views])
        if not frames:
            raise ValueError(f"{self.root}: no scene of piece {piece.split}-{piece.name} is readable")
        return Scenes(torch.stack(frames), torch.tensor(cameras, dtype=torch.float32))

    def _image(self, name: str) -> UInt8[Tensor, "3 h w"]:
        path = f"{resolve(self.root)}/{name}"
        content = BytesIO(fetch(path))
        try:
            image = Image.open(content)
            image.load()
        except UnidentifiedImageError:
            raise ValueError(f"{path} is no readable image") from None
        except Exception as error:  # every format has errors of its own
            raise ValueError(f"{path} is no readable image ({error})") from None
        if image.mode.startswith(("I", "F")):
            raise ValueError(f"{path} has more than 8 bits a channel ({image.mode}): convert it")
        if image.has_transparency_data and np.array(image.convert("RGBA"))[..., 3].min() < 255:
            raise ValueError(f"{path} is transparent in places: flatten it onto a background")
        pixels = np.array(image.convert("RGB"))
        frame = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        return frame if self.size is None else resize_frames(frame[None], self.size)[0]


def _view(row: dict[str, str], label: str) -> View:
    try:
        camera = tuple(float(row[name]) for name in COLUMNS[2:])
    except (TypeError, ValueError):
        raise ValueError(f"{label}: expected 5 camera numbers, got {[row[name] for name in COLUMNS[2:]]}") from None
    if not all(map(math.isfinite, camera)):
        raise ValueError(f"{label}: a camera number is not finite: {camera}")
    return View(row["image"], camera)
