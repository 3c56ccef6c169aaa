"""Features: every view of every scene encoded once, kept as memory-mapped arrays that all jobs of a sweep share.

One ``.npy`` file a read-out, under a key that names weights, scenes and everything else that decides its content, and
a checksum beside it. A file that is damaged is made again, with a warning. Of many scenes, the jobs of a sweep encode
a block each at a time, wherever they run.
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
BLOCK = 256  # scenes that a job encodes before it looks for the next; a multiple of those of a batch
READ_BYTES = 1 << 22
VERIFIED: set[tuple[str, int, int]] = set()  # files of this process whose checksum was right
LAYOUT = 2  # raised when read-outs of the same name come to hold other numbers


@dataclass(frozen=True)
class Features:
    """Per-view arrays by read-out name, scenes first; memory-mapped, so reading rows reads only those."""

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
    """The read-outs of every view, from the cache in ``folder`` where they are there.

    Args:
        encode_cameras: raw cameras ``... 5`` to what the network sees, ``... 7``.
        data: fingerprint of where the scenes come from.
        batch_size: scenes encoded at a time.

    Raises:
        ValueError: a read-out is unknown; the message lists those there are.
    """
    for name in readouts:
        view_readout(network, name)
    home = features_folder(network, scenes, encode_cameras, data=data, folder=folder)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "scenes.json").exists():  # which row is which
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
    """Where in the cache ``folder`` these features are; its name is their fingerprint."""
    digest = hashlib.sha256(f"{LAYOUT} {PIXEL_GRID} {network_fingerprint(network)} {data} {len(scenes)}".encode())
    digest.update(encode_cameras(scenes[:1].cameras).numpy().tobytes())  # tells camera conventions apart
    return folder / digest.hexdigest()[:16]


def network_fingerprint(network: Network) -> str:
    """A hex digest of a network's weights, or of the features that stand in for it."""
    return weights_fingerprint(network) if isinstance(network, GQN) else network.fingerprint


def _is_intact(path: Path) -> bool:
    """Whether a file is there and as it was written; once a process, since reading all of it takes a while."""
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
    """A network, and the scenes that it looks at."""

    network: Network
    scenes: SceneSource
    encode_cameras: Callable[[Tensor], Tensor]
    batch_size: int
    device: str

    def write(self, names: Sequence[str], start: int, stop: int, folder: Path, parts: Path | None = None) -> None:
        """Read-outs of some scenes as files that are whole or absent; what lies in ``parts`` is not encoded again."""
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
        """Batch by batch, with the number of its first scene."""
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
    """The block that begins at a scene, where it was encoded already and is whole."""
    paths = {name: parts / f"{first:08d}" / f"{name}.npy" for name in names} if parts is not None else {}
    if not paths or not all(map(_is_intact, paths.values())):
        return []
    return [({name: np.load(path, mmap_mode="r") for name, path in paths.items()}, first)]


def _encode_together(encoder: FeatureEncoder, names: Sequence[str], home: Path, parts: Path) -> None:
    """Encode what is missing in blocks, which the jobs of a sweep share."""
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
    """A new array in a file whose space is taken."""
    array = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    reserve(path, path.stat().st_size)
    return array


def share_blocks(blocks: int, folder: Path, *, is_done: Callable[[int], bool], do: Callable[[int], None]) -> None:
    """Return when all blocks are done, by this job or by others, on one machine or on many that see the same folder.

    Each takes a block that nobody is at, until all are done; the block of a job that was killed is free again.

    Args:
        folder: holds a lock a block; it is made, and must stay while any job may be at work.
        is_done: whether a block needs no work, whoever did it.
        do: does one block; its result must be whole or absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    left = list(range(blocks))
    wait = 0.0  # seconds, for a block that another job is at; less than 0 waits for its end
    while left := [block for block in left if not is_done(block)]:
        free = False
        for block in left:
            with suppress(Timeout), FileLock(folder / f"{block:05d}.lock", timeout=wait):
                free, wait = True, 0.0
                if not is_done(block):
                    do(block)
        wait = 0.0 if free else -1.0
