"""The index of a store of scenes, ``index.json``: the source of the scenes, and every shard with its checksum.

A shard is written under a temporary name and renamed, then listed in the index, which is replaced atomically too: at
any moment a shard is complete or absent.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gqn_probe.atomic_io import write_text
from gqn_probe.types import SPLITS

FORMAT = 1
MOST_SCENES = 1 << 24  # of a store, whose row numbers take 8 bytes each


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
        """Write ``index.json`` atomically; ValueError if the disk is full."""
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
        content = json.loads(path.read_text(encoding="utf-8"))
        if (found := content["format"]) > FORMAT:
            raise ValueError(f"{folder} has format {found}, this version reads up to {FORMAT}: update gqn-probe")
        shards = tuple(map(_checked_shard, content["shards"]))
        if (scenes := sum(shard.scenes for shard in shards)) > MOST_SCENES:
            raise TypeError(f"it lists {scenes:,} scenes, the most is {MOST_SCENES:,}")
        source, lens = content["source"], content.get("lens")
        if not isinstance(source, dict) or not isinstance(lens, dict | None):
            raise TypeError("its source and lens must be dictionaries")
        return Index(source, shards, tuple(map(str, content.get("failed", ()))), lens, found)
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedIndexError(f"{path} is damaged ({error}): prepare the store again in another folder") from None


def _checked_shard(entry: dict) -> Shard:
    """Return the shard of an entry; TypeError unless its values can be those of a file in the folder."""
    lists: dict[str, Any] = {name: tuple(entry.get(name, ())) for name in ("unreadable", "shape")}
    shard = Shard(**entry | lists)
    if not all(type(number) is int and number >= 0 for number in (shard.scenes, shard.bytes, *shard.shape)):
        raise TypeError(f"shard {shard.file} has numbers that are no sizes")
    if shard.split not in SPLITS or Path(shard.file).name != shard.file:
        raise TypeError(f"{shard.file} is no shard of this folder")
    return shard
