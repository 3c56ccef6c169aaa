"""The store that training reads: shards of scenes as safetensors files, and a JSON index.

A shard is written to a temporary name and renamed, then entered in the index, which is replaced in one step too: at
any moment a shard is whole or absent. Reading maps the files into memory and copies out the rows asked for.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import google_crc32c
import numpy as np
import torch
from jaxtyping import Int
from safetensors.torch import save_file
from torch import Tensor

from ..types import Factors, Scenes

FORMAT = 1
MAPPED_BYTES = 256 << 20  # how much may be read before the maps are dropped, which returns their memory
DTYPES = {"U8": np.uint8, "F32": np.float32, "I64": np.int64}


@dataclass(frozen=True)
class Shard:
    """One file of scenes; its name is ``SPLIT-PIECE.safetensors``."""

    split: str
    piece: str
    scenes: int
    bytes: int
    crc32c: str

    @property
    def file(self) -> str:
        return f"{self.split}-{self.piece}.safetensors"


def write_shard(folder: Path, split: str, piece: str, scenes: Scenes) -> Shard:
    """Write one shard; the file is whole or absent."""
    columns = {"frames": scenes.frames, "cameras": scenes.cameras.float()}
    if scenes.factors is not None:
        columns |= {f"factors.{f.name}": getattr(scenes.factors, f.name) for f in fields(Factors)}
    shard = Shard(split, piece, len(scenes), 0, "")
    path = folder / shard.file
    temporary = path.with_suffix(".tmp")  # the folder is locked
    try:
        save_file({name: column.contiguous() for name, column in columns.items()}, temporary)
        checksum = checksum_of(temporary)
        size = temporary.stat().st_size
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return Shard(split, piece, len(scenes), size, checksum)


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
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Replace the index in one step."""
        temporary = folder / "index.tmp"
        temporary.write_text(json.dumps(asdict(self), indent=1))
        temporary.replace(folder / "index.json")


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
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}): prepare the store again") from None
    if content["format"] > FORMAT:
        raise ValueError(
            f"{folder} has format {content['format']}, this version reads up to {FORMAT}: update gqn-probe"
        )
    shards = tuple(Shard(**shard) for shard in content["shards"])
    return Index(content["source"], shards, content["format"])


class StoredScenes:
    """The scenes of some shards, by row."""

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        self.folder, self.shards = folder, tuple(shards)
        self.starts = np.cumsum([0] + [shard.scenes for shard in shards])
        self._maps: dict[int, dict[str, np.ndarray]] = {}
        self._read = 0

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_maps": {}}  # workers that are spawned map the files themselves

    def __getitem__(self, rows: Int[Tensor, " s"]) -> Scenes:
        """A copy of these rows, in their order."""
        wanted = rows.numpy()
        owner = np.searchsorted(self.starts, wanted, side="right") - 1
        gathered: dict[str, np.ndarray] = {}
        for shard in np.unique(owner):
            place = np.nonzero(owner == shard)[0]
            for name, column in self._columns(int(shard)).items():
                if name not in gathered:
                    gathered[name] = np.empty((len(wanted), *column.shape[1:]), column.dtype)
                gathered[name][place] = column[wanted[place] - self.starts[shard]]
        columns = {name: torch.from_numpy(column) for name, column in gathered.items()}
        self._read += columns["frames"].nbytes
        factors = None
        if "factors.shape" in columns:
            factors = Factors(*(columns[f"factors.{f.name}"] for f in fields(Factors)))
        return Scenes(columns["frames"], columns["cameras"], factors)

    def _columns(self, number: int) -> dict[str, np.ndarray]:
        if self._read > MAPPED_BYTES:
            self._maps.clear()
            self._read = 0
        if number not in self._maps:
            self._maps[number] = _map_columns(self.folder / self.shards[number].file)
        return self._maps[number]


def _map_columns(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, mapped: 8 bytes of header length, a JSON header, the data."""
    data = np.memmap(path, mode="r")
    length = int(data[:8].view("<u8")[0])
    header = json.loads(bytes(data[8 : 8 + length]))
    columns = {}
    for name, entry in header.items():
        if name != "__metadata__":
            low, high = (8 + length + offset for offset in entry["data_offsets"])
            columns[name] = data[low:high].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return columns
