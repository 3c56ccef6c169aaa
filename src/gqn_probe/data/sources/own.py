"""Your own images and cameras, in a folder or behind a URL, as a source of scenes.

Cameras are given in one ``cameras.csv``, or beside the images of each scene as ``transforms.json`` or a COLMAP text
model. Each such folder is then a scene, in the split that its path begins with (train, val or test; else train).
"""

import hashlib
import json
import math
import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import torch
from jaxtyping import UInt8
from torch import Tensor

from gqn_probe.choices import check_choice, nearest
from gqn_probe.data.formats.camera_matrices import UPS, PosedViews, joint_scale, read_colmap, read_transforms
from gqn_probe.data.formats.camera_table import ANGLES, CameraScene, View, read_camera_table
from gqn_probe.data.formats.images import CROPS, check_color, read_image
from gqn_probe.data.formats.remote import fetch, file_versions, resolve_root
from gqn_probe.data.formats.resize import RESIZE_VERSION
from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.data.sources.source import SCENES_A_PIECE, Piece, check_size
from gqn_probe.types import SPLITS, Lens, Scenes

TABLE, TRANSFORMS, COLMAP = "cameras.csv", "transforms.json", "images.txt"
IMAGES_VERSION = 1  # raise it when the same files give other frames, so that stores of older versions are not reused


def _above_model(folder: str) -> str:
    """Return the folder of a scene, whose COLMAP model may lie in ``sparse/0`` below it."""
    return folder.removesuffix("sparse/0").removesuffix("sparse").strip("/")


@dataclass(frozen=True)
class OwnScenes:
    """Images with cameras, and the settings by which they become frames."""

    root: str
    size: int | None  # resize frames to it
    lens: Lens
    angles: str = "radians"  # of cameras.csv
    up: str = "z"  # of the world of transforms.json and COLMAP
    crop: str = "center"
    background: str | None = None  # behind transparent images

    def __post_init__(self) -> None:
        check_size(self.size)
        check_choice("data.angles", self.angles, ANGLES)
        check_choice("data.up", self.up, tuple(UPS))
        check_choice("data.crop", self.crop, CROPS)
        check_color(self.background)

    def identity(self) -> dict:
        digest = hashlib.sha256(json.dumps([[*scene] for scene in self._scenes]).encode())
        images = sorted({view.image for scene in self._scenes for view in scene.views})
        digest.update(json.dumps([f"{image} {self._files[image]}" for image in images]).encode())
        settings = {"size": self.size, "crop": self.crop, "background": self.background}
        versions = {"images": [IMAGES_VERSION, RESIZE_VERSION], "content": digest.hexdigest()[:16]}
        return {"kind": "own", "root": self._root} | settings | versions

    def find_lens(self) -> Lens:
        """Return the lens as set; if its scale is null, with the scale that the files give, if any."""
        if self.lens.scale is not None or not self._posed:
            return self.lens
        first = self._scenes[0].views[0].image
        height, width = self._image(first, None, "resize").shape[1:]
        scale = joint_scale([*self._posed.values()], self.root, crop=self.crop, aspect=height / width)
        return self.lens._replace(scale=scale)

    @cached_property
    def _root(self) -> str:
        return resolve_root(self.root)

    @cached_property
    def _files(self) -> dict[str, str]:
        """Version of each file, by its path in the folder; listed once."""
        return file_versions(self._root)

    @cached_property
    def _posed(self) -> dict[str, PosedViews]:
        """Scenes whose cameras are matrices, by folder; empty if there is a table."""
        if TABLE in self._files:
            return {}
        found = {}
        for path in sorted(self._files):
            folder, name = posixpath.split(path)
            where = f"{self._root}/{folder}" if folder else self._root
            if name == TRANSFORMS:
                found[folder] = read_transforms(fetch(f"{self._root}/{path}"), f"{self.root}/{path}", up=self.up)
            elif name == COLMAP and posixpath.join(folder, "cameras.txt") in self._files:
                lens, images = fetch(f"{where}/cameras.txt"), fetch(f"{where}/{COLMAP}")
                found[folder] = read_colmap(lens, images, f"{self.root}/{folder}", up=self.up)
        return found

    @cached_property
    def _scenes(self) -> list[CameraScene]:
        """All scenes after a check, with paths of images relative to the folder."""
        scenes = [self._scene(folder, posed) for folder, posed in self._posed.items()] or self._scenes_of_table()
        scene_of: dict[str, str] = {}
        for scene in scenes:
            for view in scene.views:
                if scene_of.setdefault(view.image, scene.name) != scene.name:
                    both = f"scenes {scene_of[view.image]} and {scene.name}"
                    raise ValueError(f"{self.root}: {view.image} is in {both}: leave it in one")
                if view.image not in self._files:
                    hint = nearest(view.image, self._files)
                    raise ValueError(f"{self.root}, scene {scene.name}: there is no image {view.image}; {hint}add it")
        counts = {len(scene.views): scene.name for scene in scenes}
        if len(counts) != 1:
            numbers = ", ".join(f"{name} has {count}" for count, name in sorted(counts.items()))
            kinds = {posixpath.splitext(image)[1] for image in scene_of}
            unused = sorted(path for path in self._files.keys() - scene_of if posixpath.splitext(path)[1] in kinds)
            hint = f" ({unused[0]} is not listed)" if unused else ""
            raise ValueError(
                f"{self.root}: all scenes must have equally many images, but scene {numbers}{hint}: add or remove some"
            )
        return scenes

    def _scenes_of_table(self) -> list[CameraScene]:
        if TABLE not in self._files:
            found = f"has no {TABLE}, {TRANSFORMS} or COLMAP model ({COLMAP} and cameras.txt)"
            hint = nearest(TABLE, [path for path in self._files if "/" not in path])
            raise ValueError(
                f"data.root={self.root} {found if self._files else 'is no folder, or an empty one'}; {hint}".strip("; ")
            )
        label = f"{self.root}/{TABLE}"
        return [
            scene._replace(views=[View(self._inside(view.image, label), view.camera) for view in scene.views])
            for scene in read_camera_table(fetch(f"{self._root}/{TABLE}"), label, angles=self.angles)
        ]

    def _scene(self, folder: str, posed: PosedViews) -> CameraScene:
        """Return the scene whose cameras lie in ``folder``."""
        parts = PurePosixPath(folder).parts
        split = parts[0] if parts and parts[0] in SPLITS else "train"
        name = _above_model(folder) or posixpath.basename(self._root)
        views = [View(self._find_image(folder, view.image), view.camera) for view in posed.views]
        return CameraScene(name, split, views)

    def _find_image(self, folder: str, image: str) -> str:
        """Return the path of an image that cameras in ``folder`` name; COLMAP's lie in a folder beside its model."""
        top = _above_model(folder)
        places = (folder, f"{folder}/images", top, f"{top}/images")
        tried = [f"{place}/{image}".lstrip("/") for place in places]
        for path in [*tried, *(f"{path}.png" for path in tried)]:
            inside = self._inside(path, f"{self.root}/{folder}")
            if inside in self._files:
                return inside
        raise ValueError(f"{self.root}/{folder}: there is no image {image}; {nearest(tried[0], self._files)}add it")

    def _inside(self, path: str, label: str) -> str:
        """Normalise a path within the folder; ValueError if it leads out of it."""
        normal = posixpath.normpath(path.replace("\\", "/"))
        if posixpath.isabs(normal) and normal.startswith(f"{self._root}/"):
            normal = normal.removeprefix(f"{self._root}/")
        if posixpath.isabs(normal) or normal.startswith("../") or normal == ".." or normal[1:2] == ":":
            raise ValueError(f"{label}: {path} lies outside of {self.root}: give paths relative to it")
        return normal

    def _scenes_of(self, piece: Piece) -> list[CameraScene]:
        first = int(piece.name) * SCENES_A_PIECE
        return [scene for scene in self._scenes if scene.split == piece.split][first : first + SCENES_A_PIECE]

    def pieces(self) -> list[Piece]:
        numbers = {split: sum(scene.split == split for scene in self._scenes) for split in SPLITS}
        return [Piece(split, f"{n:05d}") for split in SPLITS for n in range(math.ceil(numbers[split] / SCENES_A_PIECE))]

    def relative_size(self, piece: Piece) -> int:
        return len(self._scenes_of(piece))

    def read(self, piece: Piece, on_error: Callable[[ValueError], None] = raise_error) -> Scenes:
        frames, cameras, names = [], [], []
        for scene in self._scenes_of(piece):
            try:
                images = [self._image(view.image, self.size, self.crop) for view in scene.views]
                sizes = {tuple(image.shape[1:]) for image in [*images, *(seen[0] for seen in frames[:1])]}
                if len(sizes) > 1:
                    raise ValueError(f"images of different sizes {sorted(sizes)}: set data.size to resize them")
            except ValueError as error:
                on_error(ValueError(f"{self.root}, scene {scene.name}: {error}"))
            else:
                frames.append(torch.stack(images))
                cameras.append([view.camera for view in scene.views])
                names.append(scene.name)
        if not frames:
            raise ValueError(f"{self.root}: no scene of piece {piece.split}-{piece.name} is readable")
        return Scenes(torch.stack(frames), torch.tensor(cameras, dtype=torch.float32), names=tuple(names))

    def _image(self, name: str, size: int | None, crop: str) -> UInt8[Tensor, "3 h w"]:
        path = f"{self._root}/{name}"
        return read_image(fetch(path), path, size=size, crop=crop, background=self.background)
