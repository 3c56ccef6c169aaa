"""Turn a source into the store that training reads; what is there already is kept."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

import torch
from filelock import FileLock
from rich.console import Console
from rich.progress import track

from .sources import Piece, Source
from .store import Index, Shard, read_index, write_shard


def prepare_store(source: Source, folder: Path, pieces: Sequence[Piece]) -> Index:
    """Make sure that the store in ``folder`` holds these pieces of the source.

    One process prepares at a time, others wait; a killed one leaves whole shards, from which the next goes on.

    Raises:
        ValueError: where the folder holds another source.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        index = read_index(folder) if (folder / "index.json").exists() else Index(source.identity())
        if index.source != source.identity():
            raise ValueError(f"{folder} holds {index.source}, not {source.identity()}: choose another folder")
        present = {(shard.split, shard.piece) for shard in index.shards}
        missing = [piece for piece in pieces if piece not in present]
        shards = _write(source, folder, missing)
        label, console = f"preparing {folder.name}", Console(stderr=True)
        for shard in track(shards, label, total=len(missing), disable=not missing, console=console):
            index = replace(index, shards=(*index.shards, shard))
            index.write(folder)
    return index


def _write(source: Source, folder: Path, pieces: Sequence[Piece]) -> Iterator[Shard]:
    """Write shards as they come from as many threads as there are cores; reading and rendering free the GIL."""
    pool = ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,))
    try:
        written = [
            pool.submit(lambda piece=piece: write_shard(folder, piece.split, piece.name, source.read(piece)))
            for piece in pieces
        ]
        for shard in as_completed(written):
            yield shard.result()
    finally:
        pool.shutdown(cancel_futures=True)
