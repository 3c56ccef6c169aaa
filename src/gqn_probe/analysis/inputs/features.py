"""Features: every view of every scene encoded once, kept as memory-mapped arrays that all jobs of a sweep share.

One ``.npy`` file a read-out, under a key that names weights, scenes and everything else that decides its content.
"""

import hashlib
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
from gqn_probe.atomic_io import atomic_write, remove_temporary_files
from gqn_probe.data.store.store_reader import SceneSource
from gqn_probe.model import GQN, weights_fingerprint
from gqn_probe.progress import progress
from gqn_probe.types import to_unit

LAYOUT = 1  # raised when read-outs of the same name come to hold other numbers


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
        missing = [name for name in readouts if not (home / f"{name}.npy").exists()]
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
                for name, values in zip(names, read_views(gqn, names, frames, cameras), strict=True):
                    values = values.unflatten(0, (len(part), part.views)).numpy()
                    if name not in files:
                        shape = (len(scenes), *values.shape[1:])
                        files[name] = np.lib.format.open_memmap(drafts[name], "w+", np.float32, shape)
                    files[name][start : start + len(part)] = values
                advance(len(frames))
        for file in files.values():
            file.flush()
