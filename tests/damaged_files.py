"""Small valid files, their readers, and a way to damage them."""

import collections
import copy
import functools
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from gqn_probe.data import read_converted, read_tfrecord
from gqn_probe.data.formats.camera_matrices import read_colmap, read_transforms
from gqn_probe.data.formats.camera_table import read_camera_table, read_cameras
from gqn_probe.data.formats.images import read_image
from gqn_probe.data.store.prepared_store import PreparedStore
from gqn_probe.data.store.shard_file import checksum_of, write_shard
from gqn_probe.data.store.store_index import Shard, read_index
from gqn_probe.data.store.store_reader import StoredScenes
from gqn_probe.model import GQN, Generator, InputSpec, Points, Pyramid, Tower, load_gqn
from gqn_probe.model.checkpoint import without_weights
from gqn_probe.types import Scenes


def edited(content: bytes, edits: bytes) -> bytes:
    """The content after some bytes were set, inserted, deleted or cut off.

    Of an edit, three bytes tell the place, one the kind and the number of bytes, which follow.
    """
    while len(edits) > 4:
        at, kind = int.from_bytes(edits[:3]) % (len(content) + 1), edits[3]
        new = edits[4 : 5 + kind // 4 % 9]
        edits = edits[4 + len(new) :]
        behind = content[at + len(new) :]
        content = content[:at] + (new + behind, new + content[at:], behind, b"")[kind % 4]
    return content


VALUES = (0, 1, 2, 7, -1, 1000, 2**16, 2**16 + 1, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"))
VALUES += (None, True, False, "", "sum", "exp", "sigmoid", "spread", "released", "GQN", "Points", "x" * 999)
VALUES += ([], {}, [1])


def edited_values(content: bytes, edits: bytes) -> bytes:
    """The JSON after some of its values were replaced, copied from elsewhere in it, nested or taken away.

    Of an edit, one byte tells the place, one the kind, and one the new value.
    """
    tree = json.loads(content)
    while len(edits) > 2:
        places = [(None, None), *_places(tree)]
        (parent, key), kind, new = places[edits[0] % len(places)], edits[1] % 4, edits[2]
        edits = edits[3:]
        if parent is None:
            continue
        if kind == 0:
            parent[key] = VALUES[new % len(VALUES)]
        elif kind == 1:
            source, name = places[new % len(places)]
            parent[key] = copy.deepcopy(tree if source is None else source[name])
        elif kind == 2:
            parent[key] = {"class": parent[key]} if new % 2 else [parent[key]] * (new % 9)
        else:
            del parent[key]
    return json.dumps(tree).encode()


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Each container in a tree with each of its keys."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [(tree, key) for key in keys] + [place for key in keys for place in _places(tree[key])]


FRAMES, CAMERAS = np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 5), np.float32)


def _saved(*, legacy: bool, scenes: Any = ((FRAMES, CAMERAS),)) -> bytes:
    file = io.BytesIO()
    content = scenes if hasattr(scenes, "_fields") else [*scenes]
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


Scene = collections.namedtuple("Scene", ["frames", "cameras"])  # as torch-gqn defines it


def _saved_named_tuple(make: Any) -> bytes:
    """A file of torch-gqn: one named tuple, frames as JPEGs."""
    frames = np.empty(2, object)
    frames[:] = make.jpegs(2, 8)
    return _saved(legacy=True, scenes=Scene(frames, CAMERAS))


def _hdf5() -> bytes:
    """A file of gqn-dataset-renderer, compressed as people compress them."""
    file = io.BytesIO()
    with h5py.File(file, "w") as content:
        content.create_dataset("images", data=FRAMES[None], compression="gzip")
        content["viewpoints"] = np.zeros((1, 2, 7), np.float32)
    return file.getvalue()


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, frames=FRAMES[None], cameras=CAMERAS[None])
    return file.getvalue()


def _image() -> bytes:
    file = io.BytesIO()
    Image.fromarray(FRAMES[0]).save(file, "PNG")
    return file.getvalue()


def _read_shard(folder: Path, content: bytes) -> None:
    path = folder / "train-0.safetensors"
    path.write_bytes(content)
    shard = Shard("train", "0", 1, len(content), checksum_of(path))
    scenes = StoredScenes(folder, [shard])
    assert scenes[:].frames.dtype == torch.uint8
    assert len(scenes.names) == 1


def _shard(folder: Path, scenes: Scenes | Any) -> bytes:
    return (folder / write_shard(folder, "train", "1", scenes).file).read_bytes()


@functools.cache
def network(encoder: str) -> GQN:
    """The smallest one with an encoder."""
    sizes: dict[str, Any] = {"size": 8, "hidden_channels": 1, "canvas_channels": 1, "latent_channels": 1, "kernel": 1}
    sizes |= {"steps": 1, "deviation": "exp", "output": "linear", "normalise": False}
    if encoder == "Points":
        points = Points(points=4, channels=2, width=2, heads=1, blocks=1, looks=1, sharpness=[10.0, 60.0])
        sizes |= {"core": "spread", "deviation": "softplus", "output": "sigmoid", "normalise": True}
        generator = Generator(representation_channels=2, pooled=False, shared=False, canvas_input=True, **sizes)
        return GQN(encoder=points, generator=generator, aggregation="mean")
    kinds: dict[str, Any] = {"pooled": True, "shared": True, "canvas_input": False}
    if encoder == "Pyramid":
        generator = Generator(representation_channels=8, core="released", **kinds, **sizes)
        return GQN(encoder=Pyramid(channels=8, size=8), generator=generator, aggregation="sum")
    generator = Generator(representation_channels=2, core="project", **kinds, **sizes)
    return GQN(encoder=Tower(width=2, channels=2, pooled=True), generator=generator, aggregation="sum")


def settings_of(encoder: str) -> bytes:
    return json.dumps(network(encoder).settings()).encode()


def checkpoint() -> dict[str, Any]:
    gqn = network("Tower")
    state = {f"gqn.{name}": value for name, value in gqn.state_dict().items()}
    return {"state_dict": state, "gqn_settings": gqn.settings(), "trained_on": InputSpec((8, 8), "cos_sin").facts()}


def _saved_checkpoint(*, legacy: bool) -> bytes:
    file = io.BytesIO()
    torch.save(checkpoint(), file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def _pickle_of_checkpoint() -> bytes:
    with zipfile.ZipFile(io.BytesIO(_saved_checkpoint(legacy=False))) as archive:
        return archive.read("archive/data.pkl")


def _with_pickle(content: bytes) -> bytes:
    """A checkpoint with another pickle, and the checksum of that."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_saved_checkpoint(legacy=False))) as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.namelist():
            new.writestr(entry, content if entry.endswith("data.pkl") else old.read(entry))
    return file.getvalue()


def weights(settings: bytes) -> bytes:
    """Exported weights with these settings, and without a checksum."""
    facts = InputSpec((8, 8), "cos_sin").facts() | {"gqn_settings": settings.decode(errors="replace")}
    return save(dict(network("Tower").state_dict()), facts)


def _build(encoder: str, settings: bytes) -> GQN:
    """What ``load_gqn`` does with settings before it compares tensors."""
    return without_weights(json.loads(settings), len(network(encoder).state_dict()), Path("a.safetensors"))


def _read_index(folder: Path, content: bytes) -> None:
    (folder / "index.json").write_bytes(content)
    StoredScenes(folder, read_index(folder).shards)
    PreparedStore(str(folder), None, None, "", 1, 1).find_lens()


TABLE = b"scene,image,x,y,z,yaw,pitch\na,0.png,1,2,3,0.5,-0.5\na,1.png,1,2,3,1,0\n"
CAMERA_ROWS = b"sep=;\nx;y;z;yaw;pitch\n1,5;2;3;45;-5\n"
TRANSFORMS = json.dumps(
    {
        "w": 4,
        "h": 4,
        "cx": 2,
        "cy": 2,
        "fl_x": 4,
        "camera_angle_x": 1,
        "k1": 0,
        "frames": [{"file_path": "a", "transform_matrix": [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0]]}],
    }
).encode()
MODEL = b"1 PINHOLE 64 48 40 40 32 24\n"
SHARD = {"split": "train", "piece": "0", "scenes": 1, "bytes": 9, "crc32c": "", "shape": [2, 4, 4], "unreadable": ["a"]}
LENS = {"kind": "orthographic", "scale": 0.8, "centre": [0, 0, 0], "radius": 0.8, "box": [1, 1, 1]}
INDEX = json.dumps({"source": {}, "format": 1, "shards": [SHARD], "failed": ["a"], "lens": LENS}).encode()


def _written(folder: Path, name: str, read: Callable[[Path], Any]) -> Callable[[bytes], Any]:
    def reader(content: bytes) -> None:
        (folder / name).write_bytes(content)
        read(folder / name)

    return reader


def readers() -> dict[str, Callable[[Path], Any]]:
    """What reads a file of each kind, by its suffix."""
    return {
        ".tfrecord": read_tfrecord,
        **dict.fromkeys((".pt.gz", ".pt", ".npz", ".h5"), read_converted),
        **dict.fromkeys((".ckpt", ".safetensors"), load_gqn),
        ".png": lambda path: read_image(path.read_bytes(), str(path), size=4, crop="center", background=None),
        ".shard": lambda path: _read_shard(path.parent, path.read_bytes()),
        ".json": lambda path: read_transforms(path.read_bytes(), str(path), up="z"),
        ".csv": lambda path: read_camera_table(path.read_bytes(), str(path), angles="radians"),
    }


class Target(NamedTuple):
    """A valid file, its reader, and the way to damage it."""

    content: bytes
    read: Callable[[bytes], Any]
    damaged: Callable[[bytes, bytes], bytes] = edited


def targets(folder: Path, make: Any) -> dict[str, Target]:
    """What is damaged and read, by name."""
    converted = _written(folder, "a.pt.gz", read_converted)
    record, scenes = make.scene(views=2), Scenes(torch.zeros(1, 2, 3, 4, 4, dtype=torch.uint8), torch.zeros(1, 2, 5))
    tfrecord = _written(folder, "a.tfrecord", read_tfrecord)
    ckpt = _written(folder, "a.ckpt", load_gqn)
    exported = _written(folder, "a.safetensors", load_gqn)
    settings = {encoder: settings_of(encoder) for encoder in ("Tower", "Pyramid", "Points")}
    files = {
        "tfrecord": (make.records(record), tfrecord),
        "record": (record, lambda content: tfrecord(make.records(content))),
        "pt": (_saved(legacy=True), converted),
        "pt zip": (_saved(legacy=False), converted),
        "pt.gz": (gzip.compress(_saved(legacy=True)), converted),
        "port's first layout": (_saved(legacy=True, scenes=[(FRAMES.transpose(0, 3, 1, 2), CAMERAS)]), converted),
        "torch-gqn": (_saved_named_tuple(make), converted),
        "hdf5": (_hdf5(), _written(folder, "a.h5", read_converted)),
        "npz": (_npz(), _written(folder, "a.npz", read_converted)),
        "shard": (_shard(folder, scenes), lambda content: _read_shard(folder, content)),
        "index": (INDEX, lambda content: _read_index(folder, content)),
        "table": (TABLE, lambda content: read_camera_table(content, "a.csv", angles="radians")),
        "cameras": (CAMERA_ROWS, lambda content: read_cameras(content, "a.csv", angles="degrees")),
        "transforms": (TRANSFORMS, lambda content: read_transforms(content, "t.json", up="z")),
        "colmap": (b"1 1 0 0 0 0 0 0 1 a.png\n\n", lambda content: read_colmap(MODEL, content, "model", up="-y")),
        "colmap lens": (MODEL, lambda content: read_colmap(content, b"1 1 0 0 0 0 0 0 1 a\n\n", "model", up="-y")),
        "image": (_image(), lambda content: read_image(content, "a.png", size=4, crop="center", background=None)),
        "ckpt": (_saved_checkpoint(legacy=False), ckpt),
        "older ckpt": (_saved_checkpoint(legacy=True), ckpt),
        "pickle": (_pickle_of_checkpoint(), lambda content: ckpt(_with_pickle(content))),
        "weights": (weights(settings["Tower"]), exported),
        "settings": (settings["Tower"], lambda content: exported(weights(content))),
    }
    found = {name: Target(content, read) for name, (content, read) in files.items()}
    found |= {f"values of {name}": found[name]._replace(damaged=edited_values) for name in ("index", "transforms")}
    return found | {
        f"values of {encoder}": Target(content, functools.partial(_build, encoder), edited_values)
        for encoder, content in settings.items()
    }
