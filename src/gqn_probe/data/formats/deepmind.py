"""Read DeepMind's gqn-datasets: TFRecord files whose records hold JPEG ``frames`` and float ``cameras`` of one scene.

Layout: github.com/google-deepmind/gqn-datasets. Every checksum is verified; what cannot be read is reported with file,
record and offset.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gqn_probe.data.formats.jpeg import check_memory, decode_jpegs, jpeg_size
from gqn_probe.data.formats.remote import fetch
from gqn_probe.data.formats.resize import resize_frames
from gqn_probe.data.formats.tfrecord import Record, example_features, raise_error, read_records
from gqn_probe.types import Scenes


class EncodedScene(NamedTuple):
    """Scene of one record, frames as JPEGs."""

    name: str  # file and record
    label: str  # file, record and offset, for messages
    frames: tuple[bytes, ...]
    cameras: Float[np.ndarray, "v 5"]


class EncodedScenes(NamedTuple):
    """Readable scenes of a file, frames as JPEGs; all have one number of views and one size."""

    scenes: list[EncodedScene]
    size: tuple[int, int]  # height and width

    @property
    def images(self) -> list[bytes]:
        """All frames, scene after scene."""
        return [frame for scene in self.scenes for frame in scene.frames]

    @property
    def cameras(self) -> Float[Tensor, "s v 5"]:
        """Raw cameras."""
        return torch.from_numpy(np.stack([scene.cameras for scene in self.scenes]))

    @property
    def names(self) -> tuple[str, ...]:
        """File and record of each scene."""
        return tuple(scene.name for scene in self.scenes)


def parse_scene(record: Record) -> EncodedScene:
    """Parse the scene in a record; a ValueError says what is missing or no finite number."""
    try:
        features = example_features(record.payload)
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"not a tf.train.Example ({error})") from None
    for name in ("frames", "cameras"):
        if not features.get(name):
            raise ValueError(f"no feature {name!r}, found {sorted(features)}")
    frames = tuple(bytes(frame) for frame in features["frames"])
    content = b"".join(features["cameras"])
    if len(content) != 4 * 5 * len(frames):
        raise ValueError(f"expected {5 * len(frames)} camera values for {len(frames)} frames, got {len(content) / 4:g}")
    cameras = np.frombuffer(content, "<f4").reshape(-1, 5)
    if not np.isfinite(cameras).all():
        raise ValueError(f"camera of frame {np.nonzero(~np.isfinite(cameras))[0][0]} is not finite")
    return EncodedScene(record.name, record.label, frames, cameras)


def read_encoded(
    path: str | Path,
    *,
    views: int | None = None,
    frame: int | None = None,
    on_error: Callable[[ValueError], None] = raise_error,
) -> EncodedScenes:
    """Read and check every record of a file, without decoding its JPEGs.

    Args:
        path: a path or any fsspec URL.
        views: number of frames of each scene; None for that of the first scene.
        frame: height and width of each frame; None for those of the first frame.
        on_error: called with a ValueError for each unreadable record; the default raises it.

    Raises:
        ValueError: names file, record and reason; also if no scene is readable.
    """
    scenes, size = [], (frame, frame) if frame else None
    for record in read_records(fetch(path), str(path), on_error):
        try:
            scene = parse_scene(record)
            views, size = views or len(scene.frames), size or jpeg_size(scene.frames[0])
            if len(scene.frames) != views:
                raise ValueError(f"expected {views} frames, got {len(scene.frames)}")
        except ValueError as error:
            on_error(ValueError(f"{record.label}: {error}"))
        else:
            scenes.append(scene)
    if not scenes or size is None:
        raise ValueError(f"{path} has no readable scene")
    encoded = EncodedScenes(scenes, size)
    try:
        check_memory(*size, len(encoded.images), sum(map(len, encoded.images)))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return encoded


def decode_scenes(
    encoded: EncodedScenes, on_error: Callable[[ValueError], None] = raise_error
) -> tuple[Scenes, EncodedScenes]:
    """Decode every frame, and return the scenes all of whose frames can be decoded, decoded and as JPEGs.

    Args:
        on_error: called with a ValueError for each scene that is then left out; the default raises it.

    Raises:
        ValueError: names file, record and reason; also if no scene is readable.
    """
    scenes, views = encoded.scenes, len(encoded.scenes[0].frames)
    reasons: dict[int, str] = {}
    pixels = rearrange(decode_jpegs(encoded.images, *encoded.size, reasons), "(s v) c h w -> s v c h w", v=views)
    damaged: dict[int, int] = {}  # first such image of a scene
    for number in sorted(reasons):
        damaged.setdefault(number // views, number)
    for scene, number in damaged.items():
        on_error(ValueError(f"{scenes[scene].label}: frame {number % views} is damaged ({reasons[number]})"))
    if damaged:
        kept = [scene for scene in range(len(scenes)) if scene not in damaged]
        if not kept:
            raise ValueError(f"{scenes[0].label} and all after it: no readable scene")
        encoded, pixels = EncodedScenes([scenes[scene] for scene in kept], encoded.size), pixels[kept]
    return Scenes(pixels, encoded.cameras, names=encoded.names), encoded


def read_tfrecord(
    path: str | Path, size: int | None = None, *, on_error: Callable[[ValueError], None] = raise_error
) -> Scenes:
    """Read all scenes of one file of DeepMind's datasets.

    Args:
        path: a path or any fsspec URL (``gs://...`` with the extra ``cloud``).
        size: height and width to resize the frames to; None keeps those of the file.
        on_error: called with a ValueError for each unreadable record, which is then left out; the default raises it.

    Raises:
        ValueError: names file, record, offset and reason.
    """
    scenes, _ = decode_scenes(read_encoded(path, on_error=on_error), on_error)
    return scenes if size is None else replace(scenes, frames=resize_frames(scenes.frames, size))
