"""Read files of the PyTorch and Chainer ports, which hold scenes as NumPy arrays; nothing in them is executed.

* ``.pt.gz`` and ``.pt`` of wohlert/generative-query-network-pytorch: a list of (images uint8 [v h w c], or [v c h w]
  as its first version wrote them; cameras float32 [v 5]);
* ``.pt.gz`` and ``.pt`` of iShohei220/torch-gqn: one named tuple of frames, as JPEGs or floats in 0..1, and cameras;
* ``.h5`` of musyoku/gqn-dataset-renderer: ``images`` uint8 [s v h w c] and ``viewpoints`` [s v 7];
* ``.npz``: ``frames`` [s v h w c] or [s v c h w], and ``cameras`` [s v 5].
"""

import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange

from gqn_probe.data.formats.jpeg import check_memory, check_unpacked, decode_jpegs, jpeg_size
from gqn_probe.data.formats.remote import fetch
from gqn_probe.data.formats.saved_arrays import Array, read_saved
from gqn_probe.inert_pickle import DAMAGE
from gqn_probe.types import Scenes

SUFFIXES = (".pt.gz", ".pt", ".h5", ".npz")


class SceneArrays(NamedTuple):
    """Arrays of one scene in the layout of its file."""

    frames: np.ndarray
    cameras: np.ndarray


def read_converted(path: str | Path) -> Scenes:
    """Read all scenes of one file; a path or any fsspec URL.

    Raises:
        ValueError: names file, scene and reason: it is damaged, something else, or asks for code to be run.
    """
    content = fetch(path)
    scenes, size = [], 0
    try:
        for number, arrays in enumerate(READERS.get(PurePosixPath(path).suffix, _read_pairs)(content)):
            scenes.append(_checked(arrays, f"scene {number}"))
            size += max(scenes[-1].frames.nbytes, arrays.frames.nbytes)
            check_unpacked(size, len(content))  # one array or JPEG can stand for many
        if len({scene.frames.shape for scene in scenes}) > 1:
            raise ValueError(f"scenes differ in shape: {sorted({scene.frames.shape for scene in scenes})}")
    except DAMAGE as error:
        raise ValueError(f"{path} is damaged or no file of scenes: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    frames, cameras = (torch.from_numpy(np.stack(column)) for column in zip(*scenes, strict=True))
    return Scenes(frames, cameras, names=tuple(f"{PurePosixPath(path).name}:{row}" for row in range(len(scenes))))


def _read_pairs(content: bytes) -> list[SceneArrays]:
    """Read a pickle of one pair of arrays, or of a list of pairs."""
    found = read_saved(content)
    pairs = [found] if isinstance(found, tuple) else found
    if not isinstance(pairs, list) or not pairs:
        raise ValueError("it holds no list of scenes")
    scenes = []
    for number, pair in enumerate(pairs):
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(part, Array) for part in pair)):
            raise ValueError(f"scene {number}: expected a pair of arrays")
        scenes.append(SceneArrays(pair[0].array, pair[1].array))
    return scenes


def _read_npz(content: bytes) -> list[SceneArrays]:
    """Read an archive with the arrays ``frames`` and ``cameras``."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        check_unpacked(sum(entry.file_size for entry in archive.infolist()), len(content))
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        absent = {"frames", "cameras"} - {*arrays.files}
        if absent:
            raise ValueError(f"it has no array {min(absent)}, but {', '.join(arrays.files)}")
        frames, cameras = arrays["frames"], arrays["cameras"]
    return _scenes_of(frames, cameras)


def _read_hdf5(content: bytes) -> list[SceneArrays]:
    """Read a file of gqn-dataset-renderer, whose world has y up and whose cameras look along -z."""
    try:
        import h5py  # pyright: ignore[reportMissingImports]  (an extra)
    except ImportError:
        raise ValueError("it needs another package: pip install 'gqn-probe[hdf5]'") from None
    with h5py.File(BytesIO(content)) as file:
        named = [file[name] for name in ("images", "viewpoints")]
        columns = [column for column in named if isinstance(column, h5py.Dataset)]
        if len(columns) < len(named):
            raise ValueError("images and viewpoints are no arrays")
        check_unpacked(sum(column.nbytes for column in columns), len(content))
        frames, viewpoints = (np.asarray(column) for column in columns)
    if viewpoints.ndim != 3 or viewpoints.shape[2] != 7:
        raise ValueError(f"expected viewpoints [s, v, 7], got {list(viewpoints.shape)}")
    x, y, z, cos_yaw, sin_yaw, cos_pitch, sin_pitch = np.moveaxis(viewpoints, -1, 0)
    yaw, pitch = np.arctan2(sin_yaw, cos_yaw) + np.pi, np.arctan2(sin_pitch, cos_pitch)
    return _scenes_of(frames, np.stack([z, x, y, yaw, pitch], axis=-1))


READERS = {".npz": _read_npz, ".h5": _read_hdf5}


def _scenes_of(frames: np.ndarray, cameras: np.ndarray) -> list[SceneArrays]:
    if frames.ndim != 5 or len(frames) != len(cameras) or not len(frames):
        raise ValueError(f"expected frames [s, v, h, w, 3] and cameras [s, v, 5], got {frames.shape}, {cameras.shape}")
    return [SceneArrays(*scene) for scene in zip(frames, cameras, strict=True)]


def _checked(scene: SceneArrays, label: str) -> SceneArrays:
    """Convert a scene from any of the files' layouts to frames uint8 [v c h w] and cameras float32 [v 5]."""
    images, cameras = scene
    if images.dtype == object:
        images = _decoded(images, label)
    elif images.ndim == 4 and images.shape[1] == 3 and images.shape[3] != 3:
        images = rearrange(images, "v c h w -> v h w c")
    if images.dtype in (np.float32, np.float64) and images.size and images.min() >= 0 and images.max() <= 1:
        images = np.stack([np.round(255 * image).astype(np.uint8) for image in images])
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"{label}: expected uint8 images [v, h, w, 3], got {images.dtype} {list(images.shape)}")
    if cameras.dtype not in (np.float32, np.float64) or cameras.size != 5 * len(images):
        raise ValueError(f"{label}: expected cameras [{len(images)}, 5], got {list(cameras.shape)}")
    cameras = cameras.reshape(-1, 5)
    if not np.isfinite(cameras).all():
        raise ValueError(f"{label}: camera of frame {np.nonzero(~np.isfinite(cameras))[0][0]} is not finite")
    return SceneArrays(rearrange(images, "v h w c -> v c h w"), cameras.astype(np.float32))


def _decoded(images: np.ndarray, label: str) -> np.ndarray:
    """Decode JPEGs of one size to [v h w c]."""
    jpegs = images.flatten().tolist()
    try:
        height, width = jpeg_size(jpegs[0])
        check_memory(height, width, len(jpegs), sum(map(len, jpegs)))
        return rearrange(decode_jpegs(jpegs, height, width).numpy(), "v c h w -> v h w c")
    except (ValueError, IndexError) as error:
        raise ValueError(f"{label}: {error}") from None
