"""Write a source's pieces into a store, on every core; what is there already is kept."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

import torch
from filelock import FileLock
from rich.console import Console
from rich.progress import track

from gqn_probe.data.records import raise_error
from gqn_probe.data.sources import Piece, Source
from gqn_probe.data.store import Index, Shard, checksum_of, read_index, write_shard

INDEX_SECONDS = 1.0  # how often the index is written while shards arrive


def build_store(
    source: Source,
    folder: Path,
    pieces: Sequence[Piece],
    *,
    workers: int | None = None,
    on_error: Callable[[ValueError], None] = raise_error,
) -> Index:
    """Make sure that the store in ``folder`` holds these pieces of the source.

    One process builds at a time and others wait; after a kill the next one goes on from the shards in the index.

    Args:
        workers: threads; None takes as many as torch uses. Reading, rendering and decoding free the GIL.
        on_error: gets each unreadable record; the default raises it.

    Raises:
        ValueError: where the folder holds another source, a record is unreadable, or a shard cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {folder}: {error.strerror}") from None
    if not _missing(_open(source, folder), pieces):
        return _open(source, folder)  # without a lock: the folder may be read-only
    with FileLock(folder / "lock"):
        index = _open(source, folder)
        missing = _missing(index, pieces)
        shards = _write_shards(source, folder, missing, workers or torch.get_num_threads(), on_error)
        label, console = f"preparing {folder.name}", Console(stderr=True)
        written = time.monotonic()
        try:
            for shard in track(shards, label, total=len(missing), console=console, disable=not missing):
                index = replace(index, shards=(*index.shards, shard))
                if time.monotonic() > written + INDEX_SECONDS:
                    index.write(folder)
                    written = time.monotonic()
        finally:
            index.write(folder)
    return index


def _open(source: Source, folder: Path) -> Index:
    index = read_index(folder) if (folder / "index.json").exists() else Index(source.identity())
    if index.source != source.identity():
        raise ValueError(f"{folder} holds {index.source}, not {source.identity()}: choose another folder")
    return index


def _missing(index: Index, pieces: Sequence[Piece]) -> list[Piece]:
    present = {(shard.split, shard.piece) for shard in index.shards}
    return [piece for piece in pieces if piece not in present]


def _write_shards(
    source: Source, folder: Path, pieces: Sequence[Piece], workers: int, on_error: Callable[[ValueError], None]
) -> Iterator[Shard]:
    """The shards as they are written; the first error stops those not begun."""

    def write(piece: Piece) -> Shard:
        return write_shard(folder, piece.split, piece.name, source.read(piece, on_error))

    # torch's own threads would contend with these.
    pool = ThreadPoolExecutor(workers, "build", initializer=torch.set_num_threads, initargs=(1,))
    try:
        written: list[Future[Shard]] = [pool.submit(write, piece) for piece in pieces]
        for shard in as_completed(written):
            yield shard.result()
    finally:
        pool.shutdown(cancel_futures=True)


def damaged_shards(folder: Path) -> list[str]:
    """Compare every shard with the size and checksum in the index; what is wrong, by file.

    Raises:
        ValueError: where the folder is no store.
    """
    damaged = []
    for shard in track(read_index(folder).shards, f"checking {folder.name}", console=Console(stderr=True)):
        path = folder / shard.file
        if not path.exists():
            damaged.append(f"{path} is missing")
        elif path.stat().st_size != shard.bytes:
            damaged.append(f"{path} has {path.stat().st_size} bytes where the index says {shard.bytes}")
        elif checksum_of(path) != shard.crc32c:
            damaged.append(f"{path} has another checksum than the index says")
    return damaged
