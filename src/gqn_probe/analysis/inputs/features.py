"""Features: every view of every scene encoded once, kept as memory-mapped arrays that all jobs of a sweep share.

One ``.npy`` file a read-out, under a key that names weights, scenes and everything else that decides its content, and
a checksum beside it. A file that is damaged is made again, with a warning.
"""

import hashlib
import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from filelock import FileLock
from jaxtyping import Float
from torch import Tensor
from torch.backends import cudnn

from gqn_probe.analysis.inputs.readouts import PIXEL_GRID, read_views, view_readout
from gqn_probe.atomic_io import atomic_write, remove_temporary_files, reserve, write_text
from gqn_probe.data.store.store_reader import SceneSource
from gqn_probe.model import GQN, weights_fingerprint
from gqn_probe.progress import progress
from gqn_probe.types import to_unit

log = logging.getLogger(__name__)
BLOCK = 1 << 22  # bytes read at a time
CHECKED: set[tuple[str, int, int]] = set()  # files of this process whose checksum was right
LAYOUT = 2  # raised when read-outs of the same name come to hold other numbers


@dataclass(frozen=True)
class Features:
    """Per-view arrays by read-out name, scenes first; memory-mapped, so reading rows reads only those."""

    arrays: Mapping[str, Float[Tensor, "s v *f"]]

    def __getitem__(self, name: str) -> Float[Tensor, "s v *f"]:
        return self.arrays[name]


@torch.no_grad()
def extract_features(
    gqn: GQN,
    scenes: SceneSource,
    encode_cameras: Callable[[Tensor], Tensor],
    *,
    data: str,
    folder: Path,
    readouts: Sequence[str] = ("pooled",),
    batch_size: int = 16,
    device: str = "cpu",
) -> Features:
    """The read-outs of every view, from the cache in ``folder`` where they are there.

    Args:
        encode_cameras: raw cameras ``... 5`` to what the network sees, ``... 7``.
        data: fingerprint of where the scenes come from.
        batch_size: scenes encoded at a time.

    Raises:
        ValueError: a read-out is unknown; the message lists those there are.
    """
    for name in readouts:
        view_readout(gqn, name)
    home = features_folder(gqn, scenes, encode_cameras, data=data, folder=folder)
    home.mkdir(parents=True, exist_ok=True)
    # true fp32, which a GPU's convolutions are not by default: the cache serves all devices
    with FileLock(home / "lock"), cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        missing = [name for name in dict.fromkeys(readouts) if not _is_whole(home / f"{name}.npy")]
        if missing:
            _write(gqn.to(device).eval(), scenes, encode_cameras, missing, home, batch_size, device)
    # copy-on-write, because torch refuses read-only arrays
    arrays = {name: torch.from_numpy(np.load(home / f"{name}.npy", mmap_mode="c")) for name in readouts}
    return Features(arrays)


def features_folder(
    gqn: GQN, scenes: SceneSource, encode_cameras: Callable[[Tensor], Tensor], *, data: str, folder: Path
) -> Path:
    """Where in the cache ``folder`` these features are; its name is their fingerprint."""
    digest = hashlib.sha256(f"{LAYOUT} {PIXEL_GRID} {weights_fingerprint(gqn)} {data} {len(scenes)}".encode())
    digest.update(encode_cameras(scenes[:1].cameras).numpy().tobytes())  # tells camera conventions apart
    return folder / digest.hexdigest()[:16]


def _is_whole(path: Path) -> bool:
    """Whether a file is there and as it was written; once a process, since reading all of it takes a while."""
    if not path.exists():
        return False
    stat = path.stat()
    known = (str(path), stat.st_mtime_ns, stat.st_size)
    if known not in CHECKED:
        noted = _checksum_file(path)
        if not noted.exists() or noted.read_text() != _checksum(path):
            log.warning("%s is damaged, and is made again", path)
            path.unlink()
            return False
        CHECKED.add(known)
    return True


def _checksum_file(path: Path) -> Path:
    return path.with_suffix(".crc32")


def _checksum(path: Path) -> str:
    value = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            value = zlib.crc32(block, value)
    return f"{value:08x}"


def _write(
    gqn: GQN,
    scenes: SceneSource,
    encode_cameras: Callable[[Tensor], Tensor],
    names: Sequence[str],
    home: Path,
    batch_size: int,
    device: str,
) -> None:
    """Encode all scenes into files that are whole or absent."""
    remove_temporary_files(home)
    files: dict[str, np.memmap] = {}
    with ExitStack() as whole:
        drafts = {name: whole.enter_context(atomic_write(home / f"{name}.npy")) for name in names}
        with progress("encoding views", len(scenes) * scenes.views, "views") as advance:
            for start in range(0, len(scenes), batch_size):
                part = scenes[start : start + batch_size]
                frames = rearrange(to_unit(part.frames.to(device)), "s v c h w -> (s v) c h w")
                cameras = rearrange(encode_cameras(part.cameras).to(device), "s v p -> (s v) p")
                for name, views in zip(names, read_views(gqn, names, frames, cameras), strict=True):
                    values = views.unflatten(0, (len(part), part.views)).numpy()
                    if name not in files:
                        files[name] = _reserved(drafts[name], (len(scenes), *values.shape[1:]))
                    files[name][start : start + len(part)] = values
                advance(len(frames))
        for name, file in files.items():
            file.flush()
            write_text(_checksum_file(home / f"{name}.npy"), _checksum(drafts[name]))


def _reserved(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """A new array in a file whose space is taken."""
    array = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    reserve(path, path.stat().st_size)
    return array
