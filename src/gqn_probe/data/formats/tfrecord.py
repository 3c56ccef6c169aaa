"""Read TFRecord files and ``tf.train.Example`` messages without TensorFlow, verifying every checksum.

A record is: length (8 bytes, little endian), masked CRC-32C of the length, payload, masked CRC-32C of the payload
(tensorflow/core/lib/io/record_writer.h). Protocol buffers are read by their wire format
(protobuf.dev/programming-guides/encoding): an Example needs four kinds of message and two kinds of field.
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple, NoReturn

import google_crc32c

MOST_FIELDS = 20_000  # of a message; a maze has 300 frames
LONGEST_VARINT = 63  # bits before the last byte
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types


def raise_error(error: ValueError) -> NoReturn:
    """Raise the error: the default ``on_error`` of readers."""
    raise error


class Record(NamedTuple):
    """Name and payload of one record."""

    name: str  # file and number
    label: str  # file, number and offset, for messages
    payload: bytes


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_records(content: bytes, name: str, on_error: Callable[[ValueError], None] = raise_error) -> Iterator[Record]:
    """Yield the records of a file whose two checksums are right.

    ``on_error`` is called with a ValueError for every other; reading ends at a record whose length is damaged.
    """
    number = offset = 0
    while offset < len(content):
        label = f"{name}, record {number} at byte {offset}"
        head = content[offset : offset + 12]
        if len(head) < 12:
            return on_error(ValueError(f"{label}: the file ends within the record's length"))
        length, crc = struct.unpack("<QI", head)
        if _masked_crc(head[:8]) != crc:
            return on_error(ValueError(f"{label}: the checksum of its length is wrong"))
        start, end = offset + 12, offset + 12 + length
        if end + 4 > len(content):
            return on_error(ValueError(f"{label}: the file ends within the record ({length} bytes)"))
        payload = content[start:end]
        if _masked_crc(payload) != struct.unpack("<I", content[end : end + 4])[0]:
            on_error(ValueError(f"{label}: the checksum of its content is wrong"))
        else:
            yield Record(f"{PurePosixPath(name).name}:{number}", label, payload)
        number, offset = number + 1, end + 4
    return None


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if shift > LONGEST_VARINT:
            raise IndexError("a number is longer than ten bytes")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of each field of a message."""
    at = count = 0
    while at < len(data):
        count += 1
        if count > MOST_FIELDS:
            raise IndexError(f"a message has more than {MOST_FIELDS:,} fields")
        key, at = _varint(data, at)
        kind = key & 7
        if kind == VARINT:
            _, end = _varint(data, at)
        elif kind == LENGTH:
            length, at = _varint(data, at)
            end = at + length
        else:
            end = at + {FIXED64: 8, FIXED32: 4}[kind]
        if end > len(data):
            raise IndexError("a field is longer than its message")
        yield key >> 3, data[at:end]
        at = end


def example_features(payload: bytes) -> dict[str, list[memoryview]]:
    """Return the values of each feature: Example.features -> Features.feature -> Feature -> BytesList or FloatList."""
    values = {}
    for _, features in _fields(memoryview(payload)):
        for _, entry in _fields(features):
            parts = dict(_fields(entry))
            lists = list(_fields(parts[2])) if 2 in parts else []
            values[bytes(parts[1]).decode()] = [value for _, content in lists for _, value in _fields(content)]
    return values
