"""Write the pieces of a source into a store, in parallel; existing shards are kept."""

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from filelock import FileLock
from torch.utils.data import DataLoader, Dataset

from gqn_probe.atomic_io import remove_temporary_files
from gqn_probe.data.formats.tfrecord import raise_error
from gqn_probe.data.sources.source import Piece, Source, json_digest
from gqn_probe.data.stimuli.cameras import lens_settings
from gqn_probe.data.store.shard_file import damage_of, write_shard
from gqn_probe.data.store.store_index import DamagedIndexError, Index, Shard, read_index
from gqn_probe.data.workers import worker_settings
from gqn_probe.progress import progress

log = logging.getLogger(__name__)
INDEX_SECONDS = 1.0  # how often the index is written while shards arrive


def build_store(
    source: Source,
    folder: Path,
    pieces: Sequence[Piece],
    *,
    workers: int | None = None,
    skip_unreadable: bool = False,
    cache: bool = False,
) -> Index:
    """Add the missing ones of ``pieces`` to the store in ``folder``, and return its index.

    One process builds at a time, and others wait; after a kill, the next one continues from the shards in the index.

    Args:
        workers: processes; 0 for none but this one, None for as many as torch uses threads.
        skip_unreadable: list unreadable records in the index and leave them out, rather than stop at the first.
        cache: the folder is named after its source, so that a damaged index is rebuilt, with a warning.

    Raises:
        ValueError: the folder holds another source, a record is unreadable, or a shard cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(DamagedIndexError):
            index = _read_or_start_index(source, folder, restart=False)
            if not _missing(index, folder, pieces):
                return index  # without a lock: the folder may be read-only
        lock = FileLock(folder / "lock").acquire()
    except OSError as error:
        raise ValueError(f"cannot write in {folder}: {error.strerror}") from None
    with lock:
        remove_temporary_files(folder)
        index = _read_or_start_index(source, folder, restart=cache)
        missing = _missing(index, folder, pieces)
        for shard in index.shards:
            if (folder / shard.file).exists() and damage_of(folder, shard, check=False):
                log.warning("%s is damaged, and is made again", folder / shard.file)
        shards = {(shard.split, shard.piece): shard for shard in index.shards}
        failed: list[str] = []

        def write_index() -> Index:
            written = replace(index, shards=tuple(shards.values()), failed=tuple(failed))
            written.write(folder)
            return written

        last_write = time.monotonic()
        try:
            with progress("preparing scenes", len(missing), "shards") as advance:
                for outcome in write_shards(ShardWriter(source, folder, missing, skip_unreadable), workers):
                    match outcome:
                        case Shard():
                            _check_shape(outcome, next(iter(shards.values()), outcome))
                            shards[outcome.split, outcome.piece] = outcome
                        case str():
                            failed.append(outcome)
                        case ValueError():
                            raise outcome
                    if time.monotonic() > last_write + INDEX_SECONDS:
                        write_index()
                        last_write = time.monotonic()
                    advance(1)
        finally:
            index = write_index()
    return index


def _read_or_start_index(source: Source, folder: Path, *, restart: bool) -> Index:
    """Return the index of a store of ``source``; an empty one if there is none, or ``restart`` and it is damaged."""
    empty = Index(source.identity(), lens=lens_settings(source.find_lens()))
    try:
        index = read_index(folder) if (folder / "index.json").exists() else empty
    except DamagedIndexError:
        if not restart:
            raise
        log.warning("%s is damaged, and is made again", folder / "index.json")
        return empty
    if index.source != empty.source:
        raise ValueError(f"{folder} holds {index.source}, not {empty.source}: choose another folder")
    return index


@dataclass(frozen=True)
class CachedStore:
    """Store of a source in a folder below ``cache``, built as pieces are needed; damage is repaired with a warning."""

    source: Source
    cache: Path
    size = streamed = None  # frames have the size of the source, and all scenes are shuffled; see ``PreparedStore``

    @cached_property
    def folder(self) -> Path:
        """Local folder that shards are read from."""
        identity = self.source.identity()
        return self.cache / f"{identity['kind']}-{json_digest(identity)}"

    def index_with(self, pieces: Sequence[Piece]) -> Index:
        """Return the index after adding the missing ones of ``pieces``."""
        return build_store(self.source, self.folder, pieces, cache=True)

    def remake(self, shard: Shard) -> None:
        """Rebuild a damaged shard, unless another process has; ValueError if the source now gives other scenes."""
        path, pieces = self.folder / shard.file, [Piece(shard.split, shard.piece)]
        with FileLock(self.folder / "lock"):
            if damage_of(self.folder, shard) is None:
                return
            log.warning("%s is damaged, and is made again", path)
            made = ShardWriter(self.source, self.folder, pieces, skip_unreadable=bool(shard.unreadable))[0]
            if isinstance(made, ValueError):
                raise made
            if not isinstance(made, Shard) or made.crc32c != shard.crc32c:
                raise ValueError(f"{path} was damaged, and its source gives other scenes: delete {self.folder}")


def _missing(index: Index, folder: Path, pieces: Sequence[Piece]) -> list[Piece]:
    present = {(shard.split, shard.piece) for shard in index.shards if not damage_of(folder, shard, check=False)}
    return [piece for piece in pieces if piece not in present]


def _check_shape(shard: Shard, first: Shard) -> None:
    if first.shape and shard.shape != first.shape:
        shapes = [f"{views} views of {height}x{width}" for views, height, width in (first.shape, shard.shape)]
        raise ValueError(f"{first.file} has scenes of {shapes[0]}, {shard.file} of {shapes[1]}: set a size for all")


@dataclass(frozen=True)
class ShardWriter(Dataset[Shard | str | ValueError]):
    """Dataset whose item n reads piece n, writes it as a shard, and returns the outcome."""

    source: Source
    folder: Path
    pieces: Sequence[Piece]
    skip_unreadable: bool

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, number: int) -> Shard | str | ValueError:
        """Return the index entry of the written shard, or an error.

        With ``skip_unreadable``, a piece of which nothing is readable gives a message instead. Errors are returned
        because a DataLoader adds the worker's traceback to the message of one that is raised.
        """
        piece = self.pieces[number]
        unreadable: list[ValueError] = []
        try:
            scenes = self.source.read(piece, unreadable.append if self.skip_unreadable else raise_error)
        except ValueError as error:
            return "; ".join(map(str, [*unreadable, error])) if self.skip_unreadable else error
        try:
            shard = write_shard(self.folder, piece.split, piece.name, scenes)
        except ValueError as error:
            return error
        return replace(shard, unreadable=tuple(map(str, unreadable)))


def write_shards(writing: ShardWriter, workers: int | None) -> Iterator[Shard | str | ValueError]:
    """Write all pieces in parallel, and yield the outcomes in any order.

    Uses processes, because decoding and parsing hold the GIL too long for threads.
    """
    own = torch.Generator()  # a DataLoader draws a seed, which must not advance the caller's generator
    workers = min(torch.get_num_threads() if workers is None else workers, len(writing))
    try:
        yield from DataLoader(writing, batch_size=None, in_order=False, generator=own, **worker_settings(workers))
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        yield ValueError(
            f"{writing.folder}: {error}; if memory was short, prepare it with fewer workers than {workers}"
        )


def damaged_shards(folder: Path) -> list[str]:
    """Compare every shard with the size and checksum in the index, and return a message for each damaged one."""
    shards, messages = read_index(folder).shards, []
    with progress("checking shards", len(shards), "shards") as advance:
        for shard in shards:
            if damage := damage_of(folder, shard):
                messages.append(f"{folder / shard.file} is damaged: {damage}")
            advance(1)
    return messages
