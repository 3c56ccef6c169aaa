"""Cache of per-view features on disk: every view is encoded once for all jobs of a sweep.

Each read-out is a memory-mapped ``.npy`` file with a checksum, in a folder named by a hash of weights, scenes and
whatever else determines its content. A damaged file is encoded again, with a warning. Jobs that run at the same time,
on one machine or several, share the work in blocks of scenes.
"""

import hashlib
import json
import logging
import math
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from filelock import FileLock, Timeout
from jaxtyping import Float
from torch import Tensor
from torch.backends import cudnn

from gqn_probe.analysis.inputs.feature_file import Network
from gqn_probe.analysis.inputs.readouts import PIXEL_GRID, read_views, view_readout
from gqn_probe.atomic_io import atomic_write, remove_temporary_files, reserve, write_text
from gqn_probe.data.store.store_reader import SceneSource, scene_names
from gqn_probe.model import GQN, weights_fingerprint
from gqn_probe.progress import progress
from gqn_probe.types import to_unit

log = logging.getLogger(__name__)
BLOCK = 256  # scenes that a job encodes under one lock; a multiple of the batch size
READ_BYTES = 1 << 22
VERIFIED: set[tuple[str, int, int]] = set()  # files whose checksum this process has verified
LAYOUT = 2  # version of the read-outs: to be raised when one of the same name changes its numbers


@dataclass(frozen=True)
class Features:
    """Memory-mapped per-view arrays by name of the read-out."""

    arrays: Mapping[str, Float[Tensor, "s v *f"]]

    def __getitem__(self, name: str) -> Float[Tensor, "s v *f"]:
        return self.arrays[name]


@torch.no_grad()
def extract_features(
    network: Network,
    scenes: SceneSource,
    encode_cameras: Callable[[Tensor], Tensor],
    *,
    data: str,
    folder: Path,
    readouts: Sequence[str] = ("pooled",),
    batch_size: int = 16,
    device: str = "cpu",
) -> Features:
    """Return the read-outs of every view; encode what the cache in ``folder`` lacks.

    Args:
        encode_cameras: raw cameras ``... 5`` to what the network sees, ``... 7``.
        data: fingerprint of where the scenes come from.
        batch_size: scenes encoded at a time.

    Raises:
        ValueError: a read-out is unknown; the message lists the known ones.
    """
    for name in readouts:
        view_readout(network, name)
    home = features_folder(network, scenes, encode_cameras, data=data, folder=folder)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "scenes.json").exists():  # names the rows
        write_text(home / "scenes.json", json.dumps(scene_names(scenes)))
    encoder = FeatureEncoder(network, scenes, encode_cameras, batch_size, device)
    names = tuple(dict.fromkeys(readouts))
    parts = home / f"parts-{zlib.crc32(' '.join(names).encode()):08x}"
    if len(scenes) > BLOCK:
        _encode_together(encoder, names, home, parts)
    with FileLock(home / "lock"):
        missing = [name for name in names if not _is_intact(home / f"{name}.npy")]
        if missing:
            remove_temporary_files(home)
            encoder.write(missing, 0, len(scenes), home, parts)
        shutil.rmtree(parts, ignore_errors=True)
    # copy-on-write, because torch refuses read-only arrays
    arrays = {name: torch.from_numpy(np.load(home / f"{name}.npy", mmap_mode="c")) for name in readouts}
    return Features(arrays)


def features_folder(
    network: Network, scenes: SceneSource, encode_cameras: Callable[[Tensor], Tensor], *, data: str, folder: Path
) -> Path:
    """Return the subfolder of the cache for these features; its name is a hash of what determines them."""
    digest = hashlib.sha256(f"{LAYOUT} {PIXEL_GRID} {network_fingerprint(network)} {data} {len(scenes)}".encode())
    digest.update(encode_cameras(scenes[:1].cameras).numpy().tobytes())  # differs with the camera convention
    return folder / digest.hexdigest()[:16]


def network_fingerprint(network: Network) -> str:
    """Return a hash of a network's weights, or of the feature file used in its place, in hex."""
    return weights_fingerprint(network) if isinstance(network, GQN) else network.fingerprint


def _is_intact(path: Path) -> bool:
    """Return True if a file exists and matches its checksum, which is verified once a process."""
    if not path.exists():
        return False
    stat = path.stat()
    known = (str(path), stat.st_mtime_ns, stat.st_size)
    if known not in VERIFIED:
        noted = _checksum_file(path)
        if not noted.exists() or noted.read_text() != _checksum(path):
            log.warning("%s is damaged, and is made again", path)
            path.unlink()
            return False
        VERIFIED.add(known)
    return True


def _checksum_file(path: Path) -> Path:
    return path.with_suffix(".crc32")


def _checksum(path: Path) -> str:
    value = 0
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            value = zlib.crc32(block, value)
    return f"{value:08x}"


@dataclass(frozen=True)
class FeatureEncoder:
    """Encodes scenes in batches and writes their read-outs to files."""

    network: Network
    scenes: SceneSource
    encode_cameras: Callable[[Tensor], Tensor]
    batch_size: int
    device: str

    def write(self, names: Sequence[str], start: int, stop: int, folder: Path, parts: Path | None = None) -> None:
        """Write the read-outs of scenes ``start`` to ``stop`` atomically; blocks that ``parts`` holds are copied."""
        files: dict[str, np.memmap] = {}
        with ExitStack() as whole:
            drafts = {name: whole.enter_context(atomic_write(folder / f"{name}.npy")) for name in names}
            with progress("encoding views", (stop - start) * self.scenes.views, "views") as advance:
                for first in range(start, stop, BLOCK):
                    last = min(first + BLOCK, stop)
                    for values, row in _stored(names, first, parts) or self._encoded(names, first, last):
                        for name, array in values.items():
                            if name not in files:
                                files[name] = _reserved(drafts[name], (stop - start, *array.shape[1:]))
                            files[name][row - start : row - start + len(array)] = array
                        advance(len(next(iter(values.values()))) * self.scenes.views)
            for name, file in files.items():
                file.flush()
                write_text(_checksum_file(folder / f"{name}.npy"), _checksum(drafts[name]))

    def _encoded(self, names: Sequence[str], first: int, last: int) -> Iterator[tuple[dict[str, np.ndarray], int]]:
        """Yield the read-outs of each batch and the index of its first scene."""
        network = self.network
        if isinstance(network, GQN):
            network = network.to(self.device).eval()
        for start in range(first, last, self.batch_size):
            part = self.scenes[start : min(start + self.batch_size, last)]
            frames = rearrange(to_unit(part.frames.to(self.device)), "s v c h w -> (s v) c h w")
            cameras = rearrange(self.encode_cameras(part.cameras).to(self.device), "s v p -> (s v) p")
            # true fp32, which a GPU's convolutions are not by default: the cache serves all devices
            with cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
                found = read_views(network, names, frames, cameras)
            views = (each.unflatten(0, (len(part), part.views)).numpy() for each in found)
            yield dict(zip(names, views, strict=True)), start


def _stored(names: Sequence[str], first: int, parts: Path | None) -> list[tuple[dict[str, np.ndarray], int]]:
    """Return the intact block that begins at scene ``first``, if another job has written it."""
    paths = {name: parts / f"{first:08d}" / f"{name}.npy" for name in names} if parts is not None else {}
    if not paths or not all(map(_is_intact, paths.values())):
        return []
    return [({name: np.load(path, mmap_mode="r") for name, path in paths.items()}, first)]


def _encode_together(encoder: FeatureEncoder, names: Sequence[str], home: Path, parts: Path) -> None:
    """Encode what is missing in blocks, together with other jobs of the sweep."""
    with FileLock(home / "lock"):
        missing = [name for name in names if not _is_intact(home / f"{name}.npy")]

    def folder(block: int) -> Path:
        return parts / f"{block * BLOCK:08d}"

    def is_done(block: int) -> bool:
        return all((home / f"{n}.npy").exists() or (folder(block) / f"{n}.npy").exists() for n in missing)

    def do(block: int) -> None:
        folder(block).mkdir(parents=True, exist_ok=True)
        remove_temporary_files(folder(block))
        start = block * BLOCK
        encoder.write(missing, start, min(start + BLOCK, len(encoder.scenes)), folder(block))

    # the locks stay: a job may still wait for one when another has joined the blocks and removed them
    share_blocks(math.ceil(len(encoder.scenes) / BLOCK), home / "locks", is_done=is_done, do=do)


def _reserved(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """Create an array in a file whose disk space is reserved."""
    array = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    reserve(path, path.stat().st_size)
    return array


def share_blocks(blocks: int, folder: Path, *, is_done: Callable[[int], bool], do: Callable[[int], None]) -> None:
    """Process all blocks together with other jobs that call this on the same folder; return when all are done.

    A job takes the next block that is not locked; a job that dies releases its lock.

    Args:
        folder: one lock file a block; created, and must remain while any job runs.
        is_done: returns True if a block needs no work.
        do: processes one block; must write its result atomically.
    """
    folder.mkdir(parents=True, exist_ok=True)
    left = list(range(blocks))
    wait = 0.0  # seconds to wait for a lock; negative: until it is released
    while left := [block for block in left if not is_done(block)]:
        free = False
        for block in left:
            with suppress(Timeout), FileLock(folder / f"{block:05d}.lock", timeout=wait):
                free, wait = True, 0.0
                if not is_done(block):
                    do(block)
        wait = 0.0 if free else -1.0
