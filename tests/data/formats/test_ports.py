"""Files of other ports in all their layouts are read, and nothing in them is executed."""

import collections
import gzip
import io
import os
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from einops import rearrange

from gqn_probe.data import encode_cameras, read_converted, render_scenes
from gqn_probe.data.formats.jpeg import decode_jpegs
from gqn_probe.inert_pickle import MAGIC


@pytest.mark.parametrize("name", ["train/001-of-900", "train/002-of-900", "test/001-of-100"])
def test_equals_what_the_port_wrote(fixtures: Path, name: str) -> None:
    scenes = read_converted(fixtures / "converted/shepard_metzler_5_parts" / f"{name}-00.pt.gz")
    with np.load(fixtures / "tfrecords/shepard_metzler_5_parts/expected.npz") as expected:
        frames = rearrange(scenes.frames, "s v c h w -> s v h w c").numpy()
        np.testing.assert_array_equal(frames, expected[f"{name}.tfrecord:frames"])
        np.testing.assert_array_equal(scenes.cameras.numpy(), expected[f"{name}.tfrecord:cameras"])


def saved(content: Any, *, legacy: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return gzip.compress(buffer.getvalue(), 1)


class Malicious:
    """Unpickled as pickle does it, this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [True, False])
def test_code_in_a_file_is_refused_and_not_run(make: Any, tmp_path: Path, legacy: bool) -> None:
    victim = tmp_path / "made-by-pickle"
    path = make.file(tmp_path / "a.pt.gz", saved([Malicious(victim)], legacy=legacy))
    with pytest.raises(ValueError, match=r"a.pt.gz cannot be read: it refers to posix.mkdir"):
        read_converted(path)
    assert not victim.exists()


def test_code_before_the_magic_number_is_refused(make: Any, tmp_path: Path) -> None:
    victim = tmp_path / "made-by-pickle"
    path = make.file(tmp_path / "a.pt", pickle.dumps(Malicious(victim)))
    with pytest.raises(ValueError, match=r"it refers to posix\.mkdir"):
        read_converted(path)
    assert not victim.exists()


FRAMES, CAMERAS = np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 5), np.float32)
NAN = np.full((2, 5), np.nan, np.float32)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([(FRAMES, CAMERAS[:1])], r"scene 0: expected cameras \[2, 5\], got \[1, 5\]"),
        ([(FRAMES, CAMERAS), (FRAMES[..., :2], CAMERAS)], "scene 1: expected uint8 images"),
        ([(FRAMES.astype(np.float32) + 2, CAMERAS)], "scene 0: expected uint8 images"),
        ([(FRAMES, NAN)], "scene 0: camera of frame 0 is not finite"),
        ([FRAMES], "scene 0: expected a pair of arrays"),
        ([(FRAMES, CAMERAS), (FRAMES[:1], CAMERAS[:1])], "scenes differ in shape"),
        ([], "holds no list of scenes"),
        ({"frames": FRAMES}, "holds no list of scenes"),
        ([(FRAMES, CAMERAS.astype(">f4"))], "big-endian"),
        ([(np.array(["text"]), CAMERAS)], "arrays of type 'U4'"),
        (torch.zeros(3), "it holds torch tensors .torch._utils._rebuild_tensor_v2. where"),
    ],
)
def test_other_content_is_named(make: Any, tmp_path: Path, content: Any, reason: str) -> None:
    path = make.file(tmp_path / "a.pt.gz", saved(content, legacy=True))
    with pytest.raises(ValueError, match=f"a.pt.gz.*{reason}"):
        read_converted(path)


def test_damaged_files_are_named(make: Any, tmp_path: Path) -> None:
    whole = saved([(FRAMES, CAMERAS)], legacy=True)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("readme.txt", "no pickle here")
    for content in (b"", b"text", whole[:-20], whole[:40], gzip.compress(b"text"), gzip.compress(archive.getvalue())):
        with pytest.raises(ValueError, match=r"a\.pt\.gz"):
            read_converted(make.file(tmp_path / "a.pt.gz", content))


def test_layouts_of_other_converters(make: Any, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 2, 16, 16, 3), dtype=np.uint8)
    cameras = np.random.default_rng(1).normal(size=(3, 2, 5)).astype(np.float32)
    pairs, first = list(zip(frames, cameras, strict=True)), rearrange(frames, "s v h w c -> s v c h w")
    files = {
        "gunzipped.pt": gzip.decompress(saved(pairs, legacy=False)),
        "first.pt.gz": saved(list(zip(first, cameras, strict=True)), legacy=True),
        "flat.pt.gz": saved([(image, camera.flatten()) for image, camera in pairs], legacy=True),
        "floats.pt.gz": saved([(image / np.float32(255), camera) for image, camera in pairs], legacy=True),
    }
    for name, arrays in {"last.npz": frames, "second.npz": first}.items():
        file = io.BytesIO()
        np.savez_compressed(file, frames=arrays, cameras=cameras)
        files[name] = file.getvalue()
    for name, content in files.items():
        scenes = read_converted(make.file(tmp_path / name, content))
        assert torch.equal(scenes.frames, torch.from_numpy(first.copy())), name
        assert torch.equal(scenes.cameras, torch.from_numpy(cameras)), name
        assert scenes.names == tuple(f"{name}:{row}" for row in range(3))


Scene = collections.namedtuple("Scene", ["frames", "cameras"])


def test_named_tuples_of_torch_gqn(make: Any, tmp_path: Path) -> None:
    jpegs = make.jpegs(3, 16)
    frames, cameras = np.array(jpegs, object), np.arange(15, dtype=np.float32)
    Scene.__module__ = "__main__"
    sys.modules["__main__"].Scene = Scene  # type: ignore[attr-defined]
    try:
        path = make.file(tmp_path / "0.pt", gzip.decompress(saved(Scene(frames, cameras), legacy=True)))
    finally:
        del sys.modules["__main__"].Scene  # type: ignore[attr-defined]
    scenes = read_converted(path)
    assert torch.equal(scenes.frames[0], decode_jpegs(jpegs, 16, 16))
    assert scenes.cameras.flatten().tolist() == list(range(15))


def test_a_file_cannot_change_how_others_are_read(make: Any, tmp_path: Path) -> None:
    """State that is given to a stand-in itself, not to an instance, would stay."""
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, 1001, {}))
    state = b"N}X\x0c\x00\x00\x00__setstate__Ns\x86b."
    path = make.file(tmp_path / "a.pt", head + b"\x80\x02cnumpy\nndarray\n" + state)
    with pytest.raises(ValueError, match=r"a\.pt cannot be read: it gives a state to a type, which has none"):
        read_converted(path)
    read_converted(make.file(tmp_path / "b.pt", gzip.decompress(saved([(FRAMES, CAMERAS)], legacy=True))))


def test_files_of_gqn_dataset_renderer(make: Any, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    scenes = render_scenes(3, views=2, size=8, seed=1)
    x, y, z, _, _ = scenes.cameras.double().unbind(-1)  # its world has y where ours has z, and z where ours has x
    yaw, pitch = torch.atan2(y, x), -torch.asin(z / torch.stack([x, y, z]).norm(dim=0))
    viewpoints = torch.stack([y, z, x, yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin()], dim=-1)
    file = io.BytesIO()
    with h5py.File(file, "w") as content:
        content["images"] = rearrange(scenes.frames, "s v c h w -> s v h w c").numpy()
        content["viewpoints"] = viewpoints.float().numpy()
    found = read_converted(make.file(tmp_path / "1.h5", file.getvalue()))
    assert torch.equal(found.frames, scenes.frames)
    torch.testing.assert_close(encode_cameras(found.cameras), encode_cameras(scenes.cameras), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match=r"1\.h5 is damaged or no file of scenes"):
        read_converted(make.file(tmp_path / "1.h5", file.getvalue()[:200]))
