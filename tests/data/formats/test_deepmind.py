"""DeepMind's files are read to the bit, and every kind of damage is reported."""

import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from einops import rearrange

from gqn_probe.data import read_tfrecord

FILES = [
    "shepard_metzler_5_parts/train/001-of-900.tfrecord",
    "shepard_metzler_5_parts/train/002-of-900.tfrecord",
    "shepard_metzler_5_parts/test/001-of-100.tfrecord",
    "rooms_ring_camera/train/0001-of-2160.tfrecord",
    "rooms_free_camera_with_object_rotations/train/0001-of-2034.tfrecord",
    "jaco/train/0001-of-3600.tfrecord",
    "mazes/train/0001-of-1080.tfrecord",
]


@pytest.mark.parametrize("file", FILES)
def test_equals_what_tensorflow_decodes(fixtures: Path, file: str) -> None:
    dataset, split, name = file.split("/")
    scenes = read_tfrecord(fixtures / "tfrecords" / file)
    with np.load(fixtures / "tfrecords" / dataset / "expected.npz") as expected:
        frames = rearrange(scenes.frames, "s v c h w -> s v h w c").numpy()
        np.testing.assert_array_equal(frames, expected[f"{split}/{name}:frames"])
        np.testing.assert_array_equal(scenes.cameras.numpy(), expected[f"{split}/{name}:cameras"])


def test_frames_are_resized_on_request(fixtures: Path) -> None:
    path = fixtures / "tfrecords/rooms_free_camera_with_object_rotations/train/0001-of-2034.tfrecord"
    full, small = read_tfrecord(path), read_tfrecord(path, size=64)
    assert small.frames.shape == (2, 10, 3, 64, 64)
    average = torch.nn.functional.avg_pool2d(full.frames.flatten(0, 1).double(), 2).unflatten(0, (2, 10))
    assert (small.frames.double() - average).abs().mean() < 2


def test_unpacked_floats_are_read(make: Any, tmp_path: Path) -> None:
    path = make.file(tmp_path / "a", make.records(make.scene(packed=False)))
    assert read_tfrecord(path).cameras.flatten().tolist() == list(range(15))


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


def damage(make: Any, kind: str) -> bytes:
    """Three scenes of which the second is damaged."""
    good, jpegs = make.scene(), make.jpegs(3, 16)
    nan = np.arange(15.0)
    nan[7] = np.nan
    bad = {
        "no example": b"\x0a\xff\xff\xff\x0f",
        "no cameras": make.example(frames=(1, b"\x0a\x01x")),
        "no frames": make.example(cameras=(2, b"")),
        "two frames": make.scene(jpegs[:2], np.zeros(10)),
        "short cameras": make.scene(jpegs, np.zeros(14)),
        "nan": make.scene(jpegs, nan),
        "size": make.scene([*jpegs[:2], *make.jpegs(1, 32)]),
        "png": make.scene([jpegs[0], b"\x89PNG", jpegs[2]]),
        "half a jpeg": make.scene([*jpegs[:2], jpegs[2][: len(jpegs[2]) // 2]]),
    }
    first = len(make.records(good))
    if kind == "payload bit":
        return flipped(make.records(good, good, good), first + 40)
    if kind == "length bit":
        return flipped(make.records(good, good, good), first)
    if kind == "truncated":
        return make.records(good, good)[:-30]
    if kind == "truncated length":
        return make.records(good, good)[: first + 5]
    return make.records(good, bad[kind], good)


REASONS = {
    "no example": "not a tf.train.Example",
    "no cameras": "no feature 'cameras', found ..frames",
    "no frames": "no feature 'frames', found ..cameras",
    "two frames": "expected 3 frames, got 2",
    "short cameras": "expected 15 camera values for 3 frames, got 14",
    "nan": "camera of frame 1 is not finite",
    "size": "frame 2 is damaged .expected 16x16 pixels, got 32x32",
    "png": "frame 1 is damaged .not a JPEG",
    "half a jpeg": "frame 2 is damaged",
    "payload bit": "the checksum of its content is wrong",
    "length bit": "the checksum of its length is wrong",
    "truncated": "the file ends within the record",
    "truncated length": "the file ends within the record's length",
}


@pytest.mark.parametrize("kind", REASONS)
def test_damage_is_named_with_file_record_and_reason(make: Any, tmp_path: Path, kind: str) -> None:
    path = make.file(tmp_path / "scenes.tfrecord", damage(make, kind))
    offset = len(make.records(make.scene()))
    with pytest.raises(ValueError, match=rf"scenes.tfrecord, record 1 at byte {offset}: .*{REASONS[kind]}"):
        read_tfrecord(path)


@pytest.mark.parametrize("kind", REASONS)
def test_every_readable_record_arrives_where_errors_are_skipped(make: Any, tmp_path: Path, kind: str) -> None:
    path = make.file(tmp_path / "scenes.tfrecord", damage(make, kind))
    errors: list[ValueError] = []
    scenes = read_tfrecord(path, on_error=errors.append)
    assert len(errors) == 1
    # After a broken length nobody knows where the next record starts.
    assert len(scenes) == (1 if kind in ("length bit", "truncated", "truncated length") else 2)


def test_a_length_beyond_reason_is_not_allocated(make: Any, tmp_path: Path) -> None:
    content = struct.pack("<Q", 1 << 60)
    good = make.records(make.scene())
    with pytest.raises(ValueError, match="record 1 at byte"):
        read_tfrecord(make.file(tmp_path / "a", good + content + b"\0\0\0\0"))


def test_files_without_scenes_are_refused(make: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no readable scene"):
        read_tfrecord(make.file(tmp_path / "empty", b""))
    with pytest.raises(ValueError, match="missing does not exist"):
        read_tfrecord(tmp_path / "missing")
    with pytest.raises(ValueError, match="is a folder"):
        read_tfrecord(tmp_path)


def test_a_file_whose_every_frame_is_damaged_is_refused_even_where_errors_are_skipped(
    make: Any, tmp_path: Path
) -> None:
    frames = [frame[:-20] for frame in make.jpegs(3, 16)]
    with pytest.raises(ValueError, match="no readable scene"):
        read_tfrecord(make.file(tmp_path / "a", make.records(make.scene(frames))), on_error=lambda error: None)


def resized(jpeg: bytes, side: int) -> bytes:
    """The same JPEG, whose header claims another size."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", side, side) + jpeg[at + 4 :]


@pytest.mark.parametrize("side", [8000, 60_000])
@pytest.mark.parametrize("first", [True, False])
def test_frames_that_claim_to_be_huge_are_refused(make: Any, tmp_path: Path, side: int, first: bool) -> None:
    frames = make.jpegs(3, 16)
    frames[0 if first else 2] = resized(frames[0], side)
    path = make.file(tmp_path / "a.tfrecord", make.records(make.scene(frames)))
    with pytest.raises(ValueError, match=rf"a.tfrecord.*(would take .* bytes|got {side}x{side})"):
        read_tfrecord(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "payload", [b"\x80" * 5_000_000, b"\x0a\x00" * 2_500_000, b"\x0a\xff\xff\xff\xff\x0f"], ids=range(3)
)
def test_a_message_without_end_takes_no_time(make: Any, tmp_path: Path, payload: bytes) -> None:
    path = make.file(tmp_path / "a.tfrecord", make.records(payload))
    began = time.process_time()
    with pytest.raises(ValueError, match=r"a.tfrecord, record 0 at byte 0: not a tf.train.Example"):
        read_tfrecord(path)
    assert time.process_time() - began < 10  # with time in the square of its length, a minute
