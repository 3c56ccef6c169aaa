"""The store that training reads: shards of scenes as safetensors files, and a JSON index.

A shard is written to a temporary name and renamed, then entered in the index, which is replaced in one step too: at
any moment a shard is whole or absent.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import google_crc32c
import torch
from einops import rearrange
from torch import Tensor

from gqn_probe.atomic_io import write_tensors, write_text
from gqn_probe.data.formats.deepmind import EncodedScenes
from gqn_probe.types import Factors, Scenes

FORMAT = 1


@dataclass(frozen=True)
class Shard:
    """One file of scenes; its name is ``SPLIT-PIECE.safetensors``."""

    split: str
    piece: str
    scenes: int
    bytes: int
    crc32c: str
    unreadable: tuple[str, ...] = ()  # records that were left out, by file and offset
    shape: tuple[int, ...] = ()  # views, height and width

    @property
    def file(self) -> str:
        return f"{self.split}-{self.piece}.safetensors"

    def size_in(self, folder: Path) -> int:
        """The bytes that the file really has; 0 where there is none."""
        path = folder / self.file
        return path.stat().st_size if path.exists() else 0


def write_shard(folder: Path, split: str, piece: str, scenes: Scenes | EncodedScenes) -> Shard:
    """Write one shard; the file is whole or absent.

    Raises:
        ValueError: where it cannot be written, as on a full disk.
    """
    size = scenes.size if isinstance(scenes, EncodedScenes) else scenes.frames.shape[-2:]
    shard = Shard(split, piece, len(scenes.cameras), 0, "", shape=(scenes.cameras.shape[1], *size))
    path = folder / shard.file
    try:
        write_tensors(path, _columns(scenes), {} if scenes.names is None else {"names": json.dumps(scenes.names)})
        return replace(shard, bytes=path.stat().st_size, crc32c=checksum_of(path))
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error}") from None


def _columns(scenes: Scenes | EncodedScenes) -> dict[str, Tensor]:
    """Columns of a shard: frames as bytes, or as JPEGs end to end with the place where each ends."""
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
    """Index of a store: the source it was made from, and its shards."""

    source: dict
    shards: tuple[Shard, ...] = ()
    failed: tuple[str, ...] = ()  # pieces of which nothing could be read
    lens: dict | None = None  # by the fields of ``Lens``; stores made before it was known have none
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
        try:
            write_text(folder / "index.json", json.dumps(asdict(self), indent=1))
        except OSError as error:
            raise ValueError(f"cannot write {folder / 'index.json'}: {error.strerror}") from None


class DamagedIndexError(ValueError):
    """An index that cannot be read; of a cache, it can be made again."""


def read_index(folder: Path) -> Index:
    """The index of a store.

    Raises:
        ValueError: where there is none, it is damaged, or a later version wrote it.
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
        lists = ("unreadable", "shape")
        shards = tuple(
            Shard(**shard | {name: tuple(shard.get(name, ())) for name in lists}) for shard in content["shards"]
        )
        for shard in shards:
            if Path(shard.file).name != shard.file or shard.scenes < 0:
                raise TypeError(f"{shard.file} with {shard.scenes} scenes is no shard of this folder")
        return Index(
            content["source"], shards, tuple(content.get("failed", ())), content.get("lens"), content["format"]
        )
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedIndexError(f"{path} is damaged ({error}): prepare the store again in another folder") from None
