"""The store that training reads: shards of scenes as safetensors files, and a JSON index.

A shard is written to a temporary name and renamed, then entered in the index, which is replaced in one step too: at
any moment a shard is whole or absent. Reading maps the files into memory and copies out the rows asked for.
"""

import json
import mmap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Int, UInt8
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from gqn_probe.data.jpeg import decode_jpegs
from gqn_probe.data.tfrecord import EncodedScenes
from gqn_probe.types import Factors, Scenes

FORMAT = 1
READ_BYTES = 16 << 20  # how much is read before its memory is returned; the kernel maps up to 20 times as much
DTYPES = {"U8": np.uint8, "F32": np.float32, "I64": np.int64}


@dataclass(frozen=True)
class Shard:
    """One file of scenes; its name is ``SPLIT-PIECE.safetensors``."""

    split: str
    piece: str
    scenes: int
    bytes: int
    crc32c: str
    unreadable: tuple[str, ...] = ()  # records that were left out, by file and offset

    @property
    def file(self) -> str:
        return f"{self.split}-{self.piece}.safetensors"


def write_shard(folder: Path, split: str, piece: str, scenes: Scenes | EncodedScenes) -> Shard:
    """Write one shard; the file is whole or absent.

    Raises:
        ValueError: where it cannot be written, as on a full disk.
    """
    shard = Shard(split, piece, len(scenes.cameras), 0, "")
    path = folder / shard.file
    temporary = path.with_suffix(".tmp")  # only one process prepares a folder at a time
    try:
        save_file(_columns(scenes), temporary)
        temporary.chmod(0o644)  # safetensors leaves it to its owner alone
        shard = replace(shard, bytes=temporary.stat().st_size, crc32c=checksum_of(temporary))
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"cannot write {path}: {error}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return shard


def _columns(scenes: Scenes | EncodedScenes) -> dict[str, Tensor]:
    """What a shard holds: frames as bytes, or as JPEGs end to end with the place where each ends."""
    if isinstance(scenes, EncodedScenes):
        images = [frame for frames in scenes.frames for frame in frames]
        ends = torch.tensor([len(image) for image in images]).cumsum(0)
        return {
            "jpeg": torch.frombuffer(bytearray(b"".join(images)), dtype=torch.uint8),
            "ends": rearrange(ends, "(s v) -> s v", s=len(scenes.frames)),
            "size": torch.tensor(scenes.size),
            "cameras": scenes.cameras,
        }
    columns = {"frames": scenes.frames, "cameras": scenes.cameras}
    if scenes.factors is not None:
        columns |= {f"factors.{f.name}": getattr(scenes.factors, f.name) for f in fields(Factors)}
    return {name: column.contiguous() for name, column in columns.items()}


def checksum_of(path: Path) -> str:
    """CRC-32C of a file, in hex."""
    checksum = google_crc32c.Checksum()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum.update(block)
    return checksum.digest().hex()


@dataclass(frozen=True)
class Index:
    """What a store holds: where it came from, and its shards."""

    source: dict
    shards: tuple[Shard, ...] = ()
    failed: tuple[str, ...] = ()  # pieces of which nothing could be read
    format: int = FORMAT

    @property
    def unreadable(self) -> list[str]:
        """All that was left out."""
        return [*self.failed, *(line for shard in self.shards for line in shard.unreadable)]

    def write(self, folder: Path) -> None:
        """Replace the index in one step.

        Raises:
            ValueError: where it cannot be written, as on a full disk.
        """
        temporary = folder / "index.tmp"
        try:
            temporary.write_text(json.dumps(asdict(self), indent=1))
            temporary.replace(folder / "index.json")
        except OSError as error:
            raise ValueError(f"cannot write {folder / 'index.json'}: {error.strerror}") from None
        finally:
            temporary.unlink(missing_ok=True)


def read_index(folder: Path) -> Index:
    """The index of a store.

    Raises:
        ValueError: where there is none, or a later version wrote it.
    """
    path = folder / "index.json"
    if not path.exists():
        raise ValueError(f"{folder} is not a store: it has no index.json")
    try:
        content = json.loads(path.read_text())
        if content["format"] > FORMAT:
            raise ValueError(
                f"{folder} has format {content['format']}, this version reads up to {FORMAT}: update gqn-probe"
            )
        shards = tuple(
            Shard(**shard | {"unreadable": tuple(shard.get("unreadable", ()))}) for shard in content["shards"]
        )
        return Index(content["source"], shards, tuple(content.get("failed", ())), content["format"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): prepare the store again") from None


class StoredScenes:
    """The scenes of some shards, by row."""

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        self.folder, self.shards = folder, tuple(shards)
        self.starts = np.cumsum([0] + [shard.scenes for shard in shards])
        self._maps: dict[int, Mapped] = {}
        self._touched: set[int] = set()
        self._read = 0

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_maps": {}, "_touched": set()}  # workers that are spawned map the files themselves

    def __getitem__(self, rows: Int[Tensor, " s"]) -> Scenes:
        """A copy of these rows, in their order; frames kept as JPEG are decoded.

        Raises:
            ValueError: where a shard is not the file that the index describes, or a frame cannot be decoded.
        """
        places = [self._locate(row) for row in rows.tolist()]
        frames = _decode(places) if "jpeg" in places[0].columns else _gather(places, "frames")
        scenes = Scenes(frames, _gather(places, "cameras"), _factors(places))
        self._read += frames.nbytes
        if self._read > READ_BYTES:
            self._return_memory()
        return scenes

    def factors(self, rows: Int[Tensor, " s"]) -> Factors | None:
        """The ground truth of these rows, where it is known."""
        return _factors([self._locate(row) for row in rows.tolist()])

    def _locate(self, row: int) -> "Place":
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        if number not in self._maps:
            self._maps[number] = _map_shard(self.folder, self.shards[number])
        self._touched.add(number)
        return Place(self._maps[number].columns, row - int(self.starts[number]))

    def _return_memory(self) -> None:
        for number in self._touched:
            self._maps[number].memory.madvise(mmap.MADV_DONTNEED)
        self._touched.clear()
        self._read = 0


class Mapped(NamedTuple):
    """A shard in memory."""

    columns: dict[str, np.ndarray]
    memory: mmap.mmap


class Place(NamedTuple):
    """Where a scene is: the columns of its shard, and its row in them."""

    columns: dict[str, np.ndarray]
    row: int


def _gather(places: Sequence[Place], name: str) -> Tensor:
    first = places[0].columns[name]
    gathered = np.empty((len(places), *first.shape[1:]), first.dtype)
    for row, place in enumerate(places):
        gathered[row] = place.columns[name][place.row]
    return torch.from_numpy(gathered)


def _factors(places: Sequence[Place]) -> Factors | None:
    if "factors.shape" not in places[0].columns:
        return None
    return Factors(*(_gather(places, f"factors.{f.name}") for f in fields(Factors)))


def _decode(places: Sequence[Place]) -> UInt8[Tensor, "s v c h w"]:
    images = []
    for columns, row in places:
        first = columns["ends"][row - 1, -1] if row else 0
        starts = [first, *columns["ends"][row, :-1]]
        images += [columns["jpeg"][low:high] for low, high in zip(starts, columns["ends"][row], strict=True)]
    height, width = places[0].columns["size"].tolist()
    return rearrange(decode_jpegs(images, height, width), "(s v) c h w -> s v c h w", s=len(places))


def _map_shard(folder: Path, shard: Shard) -> Mapped:
    """Map a safetensors file: 8 bytes of header length, a JSON header, the data."""
    path = folder / shard.file
    found = path.stat().st_size if path.exists() else 0
    if found != shard.bytes:
        raise ValueError(f"{path} has {found} bytes where the index says {shard.bytes}: prepare the store again")
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(memory[:8], "little")
    columns = {}
    for name, entry in json.loads(memory[8 : 8 + length]).items():
        if name != "__metadata__":
            dtype, (low, high) = np.dtype(DTYPES[entry["dtype"]]), entry["data_offsets"]
            column = np.frombuffer(memory, dtype, (high - low) // dtype.itemsize, 8 + length + low)
            columns[name] = column.reshape(entry["shape"])
    return Mapped(columns, memory)
