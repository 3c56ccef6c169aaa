"""Write a source's pieces into a store, on every core; what is there already is kept."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

import torch
from filelock import FileLock

from gqn_probe.data.sources import Piece, Source
from gqn_probe.data.store import Index, Shard, checksum_of, read_index, write_shard
from gqn_probe.progress import progress

INDEX_SECONDS = 1.0  # how often the index is written while shards arrive


def build_store(
    source: Source,
    folder: Path,
    pieces: Sequence[Piece],
    *,
    workers: int | None = None,
    skip_unreadable: bool = False,
) -> Index:
    """Make sure that the store in ``folder`` holds these pieces of the source.

    One process builds at a time and others wait; after a kill the next one goes on from the shards in the index.

    Args:
        workers: threads; None takes as many as torch uses. Reading, rendering and decoding free the GIL.
        skip_unreadable: leave unreadable records out and list them in the index, rather than stop at the first.

    Raises:
        ValueError: where the folder holds another source, a record is unreadable, or a shard cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        index = _open(source, folder)
        if not _missing(index, folder, pieces):
            return index  # without a lock: the folder may be read-only
        lock = FileLock(folder / "lock").acquire()
    except OSError as error:
        raise ValueError(f"cannot write in {folder}: {error.strerror}") from None
    with lock:
        index = _open(source, folder)
        missing = _missing(index, folder, pieces)
        whole = tuple(shard for shard in index.shards if Piece(shard.split, shard.piece) not in missing)
        index = replace(index, shards=whole, failed=())
        written = time.monotonic()
        try:
            with progress("preparing scenes", len(missing), "shards") as advance:
                workers = workers or torch.get_num_threads()
                for outcome in _write_shards(source, folder, missing, workers, skip_unreadable):
                    if isinstance(outcome, Shard):
                        index = replace(index, shards=(*index.shards, outcome))
                    else:
                        index = replace(index, failed=(*index.failed, str(outcome)))
                    if time.monotonic() > written + INDEX_SECONDS:
                        index.write(folder)
                        written = time.monotonic()
                    advance(1)
        finally:
            index.write(folder)
    return index


def _open(source: Source, folder: Path) -> Index:
    index = read_index(folder) if (folder / "index.json").exists() else Index(source.identity())
    if index.source != source.identity():
        raise ValueError(f"{folder} holds {index.source}, not {source.identity()}: choose another folder")
    return index


def _missing(index: Index, folder: Path, pieces: Sequence[Piece]) -> list[Piece]:
    present = {(shard.split, shard.piece) for shard in index.shards if (folder / shard.file).exists()}
    return [piece for piece in pieces if piece not in present]


def _write_shards(
    source: Source, folder: Path, pieces: Sequence[Piece], workers: int, skip_unreadable: bool
) -> Iterator[Shard | ValueError]:
    """The shards as they are written; the first error stops those not begun."""

    def write(piece: Piece) -> Shard | ValueError:
        unreadable: list[ValueError] = []
        if not skip_unreadable:
            return write_shard(folder, piece.split, piece.name, source.read(piece))
        try:
            scenes = source.read(piece, unreadable.append)
        except ValueError as error:
            return error
        shard = write_shard(folder, piece.split, piece.name, scenes)
        return replace(shard, unreadable=tuple(map(str, unreadable)))

    # torch's own threads would contend with these.
    pool = ThreadPoolExecutor(workers, "build", initializer=torch.set_num_threads, initargs=(1,))
    try:
        written: list[Future[Shard | ValueError]] = [pool.submit(write, piece) for piece in pieces]
        for outcome in as_completed(written):
            yield outcome.result()
    finally:
        pool.shutdown(cancel_futures=True)


def damaged_shards(folder: Path) -> list[str]:
    """Compare every shard with the size and checksum in the index; what is wrong, by file.

    Raises:
        ValueError: where the folder is no store.
    """
    shards = read_index(folder).shards
    with progress("checking shards", len(shards), "shards") as advance:
        found = []
        for shard in shards:
            found.append(_damage(folder / shard.file, shard))
            advance(1)
    return [damage for damage in found if damage]


def _damage(path: Path, shard: Shard) -> str | None:
    if not path.exists():
        return f"{path} is missing"
    if path.stat().st_size != shard.bytes:
        return f"{path} has {path.stat().st_size} bytes where the index says {shard.bytes}"
    return None if checksum_of(path) == shard.crc32c else f"{path} has another checksum than the index says"
