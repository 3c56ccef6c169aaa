"""The index of a store of scenes, ``index.json``: the source of the scenes, and every shard with its checksum.

A shard is written under a temporary name and renamed, then listed in the index, which is replaced atomically too: at
any moment a shard is complete or absent.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from gqn_probe.atomic_io import write_text

FORMAT = 1


@dataclass(frozen=True)
class Shard:
    """Entry of one shard, the file ``SPLIT-PIECE.safetensors``: its size, checksum and shape."""

    split: str
    piece: str
    scenes: int
    bytes: int
    crc32c: str  # hex
    unreadable: tuple[str, ...] = ()  # messages about records that were left out
    shape: tuple[int, ...] = ()  # views, height and width

    @property
    def file(self) -> str:
        return f"{self.split}-{self.piece}.safetensors"

    def size_on_disk(self, folder: Path) -> int:
        """Return the size of the file in bytes; 0 if it does not exist."""
        path = folder / self.file
        return path.stat().st_size if path.exists() else 0


@dataclass(frozen=True)
class Index:
    """Source of a store's scenes, and its shards."""

    source: dict  # ``Source.identity()``
    shards: tuple[Shard, ...] = ()
    failed: tuple[str, ...] = ()  # messages about pieces of which nothing could be read
    lens: dict | None = None  # fields of ``Lens``; None in stores of older versions
    format: int = FORMAT

    @property
    def unreadable(self) -> list[str]:
        """Messages about all records and pieces that were left out."""
        return [*self.failed, *(line for shard in self.shards for line in shard.unreadable)]

    def write(self, folder: Path) -> None:
        """Write ``index.json`` atomically.

        Raises:
            ValueError: the file cannot be written, for example because the disk is full.
        """
        try:
            write_text(folder / "index.json", json.dumps(asdict(self), indent=1))
        except OSError as error:
            raise ValueError(f"cannot write {folder / 'index.json'}: {error.strerror}") from None


class DamagedIndexError(ValueError):
    """Unreadable ``index.json``; that of a cache can be rebuilt."""


def read_index(folder: Path) -> Index:
    """Read ``index.json`` of the store in ``folder``.

    Raises:
        DamagedIndexError: the file is damaged.
        ValueError: there is no index, or a later version wrote it.
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
