"""A writer of TFRecords that is independent of the reader, and of small images to fill them with."""

import struct
from pathlib import Path

import google_crc32c
import numpy as np
import simplejpeg


def _varint(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


def _message(*parts: tuple[int, bytes]) -> bytes:
    """Length-delimited fields."""
    return b"".join(_varint(number << 3 | 2) + _varint(len(content)) + content for number, content in parts)


def _masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def example(**features: tuple[int, bytes]) -> bytes:
    """A tf.train.Example; each feature is the number of its kind in the message Feature, and its list's content."""
    entries = [_message((1, name.encode()), (2, _message(content))) for name, content in features.items()]
    return _message((1, _message(*((1, entry) for entry in entries))))


def jpegs(views: int, size: int, seed: int = 0) -> list[bytes]:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (views, 4, 4, 3), dtype=np.uint8).repeat(size // 4, 1).repeat(size // 4, 2)
    return [simplejpeg.encode_jpeg(np.ascontiguousarray(block)) for block in blocks]


def scene(
    frames: list[bytes] | None = None, cameras: np.ndarray | None = None, *, views: int = 3, packed: bool = True
) -> bytes:
    """The Example of a scene."""
    frames = jpegs(views, 16) if frames is None else frames
    values = np.arange(views * 5, dtype="<f4") if cameras is None else cameras.astype("<f4")
    floats = _message((1, values.tobytes())) if packed else b"".join(bytes([1 << 3 | 5]) + v.tobytes() for v in values)
    return example(frames=(1, _message(*((1, frame) for frame in frames))), cameras=(2, floats))


def records(*payloads: bytes) -> bytes:
    """A TFRecord file."""
    return b"".join(struct.pack("<Q", len(p)) + _masked(struct.pack("<Q", len(p))) + p + _masked(p) for p in payloads)


class Make:
    """What tests make files from."""

    jpegs, example, scene, records = (
        staticmethod(jpegs),
        staticmethod(example),
        staticmethod(scene),
        staticmethod(records),
    )

    @staticmethod
    def file(path: Path, content: bytes) -> Path:
        """Write a file and the folders above it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path
