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
from gqn_probe.data.formats.tfrecord import example_features, raise_error, read_records
from gqn_probe.types import Scenes


class EncodedScene(NamedTuple):
    """Scene of one record, frames as JPEGs."""

    frames: tuple[bytes, ...]
    cameras: Float[np.ndarray, "v 5"]


def parse_scene(payload: bytes, label: str) -> EncodedScene:
    """Parse the scene in a record.

    Raises:
        ValueError: it is no Example, a feature is missing, or camera values have the wrong number or are not finite.
    """
    try:
        features = example_features(payload)
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"{label}: not a tf.train.Example ({error})") from None
    for name in ("frames", "cameras"):
        if not features.get(name):
            raise ValueError(f"{label}: no feature {name!r}, found {sorted(features)}")
    frames = tuple(bytes(frame) for frame in features["frames"])
    content = b"".join(features["cameras"])
    if len(content) != 4 * 5 * len(frames):
        raise ValueError(
            f"{label}: expected {5 * len(frames)} camera values for {len(frames)} frames, got {len(content) / 4:g}"
        )
    cameras = np.frombuffer(content, "<f4").reshape(-1, 5)
    if not np.isfinite(cameras).all():
        raise ValueError(f"{label}: camera of frame {np.nonzero(~np.isfinite(cameras))[0][0]} is not finite")
    return EncodedScene(frames, cameras)


def first_frame_size(scene: EncodedScene, label: str) -> tuple[int, int]:
    """Return height and width of the first frame.

    Raises:
        ValueError: it is not a JPEG.
    """
    try:
        return jpeg_size(scene.frames[0])
    except ValueError as error:
        raise ValueError(f"{label}: frame 0 is damaged ({error})") from None


class EncodedScenes(NamedTuple):
    """Readable scenes of a file, frames as JPEGs; all have one number of views and one size."""

    frames: list[tuple[bytes, ...]]
    cameras: Float[Tensor, "s v 5"]
    labels: list[str]  # file, record and offset of each
    size: tuple[int, int]  # height and width
    names: tuple[str, ...]  # file and record of each


class DecodedScenes(NamedTuple):
    """Scenes all of whose frames can be decoded, decoded and as JPEGs."""

    scenes: Scenes
    encoded: EncodedScenes


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
    scenes, labels, names = [], [], []
    size = (frame, frame) if frame else None
    for name, label, payload in read_records(fetch(path), str(path), on_error):
        try:
            scene = parse_scene(payload, label)
            views, size = views or len(scene.frames), size or first_frame_size(scene, label)
            if len(scene.frames) != views:
                raise ValueError(f"{label}: expected {views} frames, got {len(scene.frames)}")
        except ValueError as error:
            on_error(error)
        else:
            scenes.append(scene)
            labels.append(label)
            names.append(name)
    if not scenes or size is None:
        raise ValueError(f"{path} has no readable scene")
    images = [frame for scene in scenes for frame in scene.frames]
    try:
        check_memory(*size, len(images), sum(map(len, images)))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    cameras = torch.from_numpy(np.stack([scene.cameras for scene in scenes]))
    return EncodedScenes([scene.frames for scene in scenes], cameras, labels, size, tuple(names))


def decode_scenes(encoded: EncodedScenes, on_error: Callable[[ValueError], None] = raise_error) -> DecodedScenes:
    """Decode every frame.

    Args:
        on_error: called with a ValueError for each scene that is then left out; the default raises it.

    Raises:
        ValueError: names file, record and reason; also if no scene is readable.
    """
    views, damaged = encoded.cameras.shape[1], {}
    images = [frame for frames in encoded.frames for frame in frames]
    pixels = decode_jpegs(images, *encoded.size, lambda bad: damaged.setdefault(bad.number // views, bad))
    for scene, bad in damaged.items():
        on_error(ValueError(f"{encoded.labels[scene]}: frame {bad.number % views} is damaged ({bad.reason})"))
    scenes = Scenes(rearrange(pixels, "(s v) c h w -> s v c h w", v=views), encoded.cameras, names=encoded.names)
    if not damaged:
        return DecodedScenes(scenes, encoded)
    kept = [scene for scene in range(len(scenes)) if scene not in damaged]
    if not kept:
        raise ValueError(f"{encoded.labels[0]} and all after it: no readable scene")
    encoded = EncodedScenes(
        [encoded.frames[scene] for scene in kept],
        encoded.cameras[kept],
        [encoded.labels[scene] for scene in kept],
        encoded.size,
        tuple(encoded.names[scene] for scene in kept),
    )
    return DecodedScenes(scenes[torch.tensor(kept, dtype=torch.int64)], encoded)


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
    scenes = decode_scenes(read_encoded(path, on_error=on_error), on_error).scenes
    return scenes if size is None else replace(scenes, frames=resize_frames(scenes.frames, size))
