"""What a hostile file costs: at most a second and 200 MB more than its own size, measured where nothing else runs.

``tests/reading_cost.py`` reads the files, each in a process of its own.
"""

import gzip
import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damaged_files import checkpoint, weights
from made_files import Make
from PIL import Image
from scripts import ENVIRONMENT, ROOT

from gqn_probe.data.formats.deepmind import EncodedScene, EncodedScenes
from gqn_probe.data.store.shard_file import write_shard
from gqn_probe.inert_pickle import MAGIC

Files = dict[str, bytes]
SECONDS, BYTES = 1.0, 200e6
OLDER = b"".join(pickle.dumps(part, 2) for part in (MAGIC, 1001, {"little_endian": True}))
# A tuple of a pair of pairs of pairs ..., 2^60 in all, as the key of a dictionary.
TANGLE = b"\x80\x02})q\x00" + b"".join(b"h%c\x86q%c" % (n, n + 1) for n in range(60)) + b"Ns."
PICKLES = {
    "nested": b"\x80\x02" + b")" + b"\x85" * 3_000_000 + b".",
    "memo": b"\x80\x02]r\xff\xff\xff\x7f.",
    "key": TANGLE,
    "doubled": b"\x80\x02})" + b"2\x86" * 60 + b"Ns.",
}


def _resized(jpeg: bytes, side: int) -> bytes:
    """The same JPEG, whose header claims another size."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", side, side) + jpeg[at + 4 :]


def _saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _called_again(function: bytes, *arguments: bytes) -> bytes:
    """A pickle that gives a function the same arguments two thousand times."""
    told = b"".join(each + b"q%c0" % number for number, each in enumerate(arguments, 1))
    pair = b"".join(b"h%c" % number for number in range(1, len(arguments) + 1))
    return b"\x80\x02" + function + b"q\x000" + told + b"](" + (b"h\x00(" + pair + b"tR") * 2000 + b"e."


def _same_scene(frames: np.ndarray) -> bytes:
    file = io.BytesIO()
    torch.save([(frames, np.zeros((len(frames), 5), np.float32))] * 300, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def of_ports() -> dict[str, Files]:
    text = b"X" + struct.pack("<I", 4_000_000) + b"a" * 4_000_000
    twice = _called_again(b"c_codecs\nencode\n", text, b"X\x06\x00\x00\x00latin1")
    jpegs = np.empty(100, object)
    jpegs[:] = Make.jpegs(1, 128) * 100
    again = {"text": OLDER + twice, "scene": _same_scene(np.zeros((50, 64, 64, 3), np.uint8))}
    again |= {"floats": _same_scene(np.zeros((50, 32, 32, 3))), "jpegs": _same_scene(jpegs)}
    zeros = gzip.compress(bytes(32 << 20)) * 30
    head = gzip.compress(OLDER + b"\x80\x02B" + struct.pack("<I", 3 << 30))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("archive/data.pkl", bytes(80 << 20))
    return {
        ".pt": {"zip": archive.getvalue()} | again | {name: OLDER + each for name, each in PICKLES.items()},
        ".pt.gz": {"zeros": zeros, "bytes": head + zeros, "memo": gzip.compress(PICKLES["memo"])},
        ".npz": {"floats": _npz(np.zeros((1, 14, 500, 500, 3))), "bytes": _npz(np.zeros((1, 110, 500, 500, 3), "u1"))},
        ".h5": {"zeros": _hdf5(110), "petabytes": _hdf5(10**9)},
    }


def _npz(frames: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, frames=frames, cameras=np.zeros((*frames.shape[:2], 5), np.float32))
    return file.getvalue()


def _hdf5(views: int) -> bytes:
    h5py = pytest.importorskip("h5py")
    file = io.BytesIO()
    with h5py.File(file, "w") as content:
        content.create_dataset("images", (1, views, 500, 500, 3), "u1", chunks=True, compression="gzip")
        content.create_dataset("viewpoints", (1, views, 7), "f4", chunks=True)
    return file.getvalue()


def of_records() -> dict[str, Files]:
    frame = Make.jpegs(1, 16)[0]
    sizes = {f"frames of {side}": [_resized(frame, side)] * 3 for side in (4000, 8000, 60_000)}
    sizes |= {f"a frame of {side}": [frame, frame, _resized(frame, side)] for side in (8000, 60_000)}
    messages = {"number": b"\x80" * 9_000_000, "fields": b"\x0a\x00" * 4_500_000}
    messages |= {name: Make.scene(frames) for name, frames in sizes.items()}
    return {".tfrecord": {name: Make.records(message) for name, message in messages.items()}}


def of_images() -> dict[str, Files]:
    files = {}
    for kind in ("PNG", "GIF"):
        file = io.BytesIO()
        Image.new("L", (4600, 4600)).save(file, kind)
        files[kind] = file.getvalue()
    return {".png": files | {"EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"}}


def of_stores(folder: Path) -> dict[str, Files]:
    scene = EncodedScene("a", "a", tuple(Make.jpegs(3, 16)), np.zeros((3, 5), np.float32))
    files = {}
    for side in (5000, 60_000):
        scenes = EncodedScenes([scene], (side, side))
        files[f"frames of {side}"] = (folder / write_shard(folder, "train", str(side), scenes).file).read_bytes()
    return {".shard": files | {"header": struct.pack("<Q", 9_000_000) + b"[" * 9_000_000}}


def of_weights() -> dict[str, Files]:
    whole = checkpoint()
    settings: dict[str, Any] = whole["gqn_settings"]
    generators = ({"steps": 60_000, "shared": False}, {"hidden_channels": 30_000}, {"kernel": 60_000})
    wrong = [settings | {"generator": settings["generator"] | each} for each in generators]
    files = {f"settings {n}": _saved(whole | {"gqn_settings": each}) for n, each in enumerate(wrong)}
    shared = {name: torch.zeros(1).expand(10**9) for name in whole["state_dict"]}
    pairs = b"](" + b"K\x01K\x02\x86" * 40_000 + b"e"
    zeros = io.BytesIO()
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("archive/data.pkl", bytes(80 << 20))
    files |= {"stride 0": _saved(whole | {"state_dict": shared}), "zeros": zeros.getvalue()}
    files |= {"items": OLDER + _called_again(b"ccollections\nOrderedDict\n", pairs)}
    files |= {name: OLDER + each for name, each in PICKLES.items()}
    exported = {f"settings {n}": weights(json.dumps(each).encode()) for n, each in enumerate(wrong)}
    exported |= {"brackets": weights(b"[" * 5_000_000), "header": struct.pack("<Q", 9_000_000) + b"[" * 9_000_000}
    return {".ckpt": files, ".safetensors": exported}


def of_tables() -> dict[str, Files]:
    head = b"scene,image,x,y,z,yaw,pitch\n"
    scenes = b"".join(b"%d,%d,0,0,1,0,0\n" % (n, n) for n in range(20_000)) + b"no camera\n"
    return {".csv": {"lines": head + b"a\n" * 4_500_000, "quotes": head + b'"' * 4_500_001, "scenes": head + scenes}}


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[Path, list[Any]]]:
    """Message, seconds and bytes of each hostile file, by suffix."""
    folder = tmp_path_factory.mktemp("hostile")
    kinds = of_ports() | of_records() | of_images() | of_stores(folder) | of_weights() | of_tables()
    cases = [
        (suffix, Make.file(folder / suffix[1:] / (name.replace(" ", "-") + suffix), content))
        for suffix, files in kinds.items()
        for name, content in files.items()
    ]
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "reading_cost.py"],
        input=json.dumps(cases, default=str),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    answers = map(json.loads, done.stdout.splitlines())
    found: dict[str, dict[Path, list[Any]]] = {suffix: {} for suffix in kinds}
    for (suffix, path), answer in zip(cases, answers, strict=True):
        found[suffix][path] = answer
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize(
    "suffix", [".pt", ".pt.gz", ".npz", ".h5", ".tfrecord", ".png", ".shard", ".ckpt", ".safetensors", ".csv"]
)
def test_a_hostile_file_is_refused_and_costs_little(costs: dict[str, dict[Path, list[Any]]], suffix: str) -> None:
    for path, (told, seconds, size) in costs[suffix].items():
        assert path.stat().st_size < 10e6
        assert told.startswith("ValueError: "), f"{path.name}: {told}"
        assert "\n" not in told
        assert suffix == ".shard" or str(path) in told
        assert seconds < SECONDS, f"{path.name} took {seconds:.2f} s"
        assert size < BYTES + path.stat().st_size, f"{path.name} took {size / 1e6:.0f} MB"
