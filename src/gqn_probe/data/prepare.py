"""Turn a source into the store that training reads; what is there already is kept."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock
from rich.progress import track

from .sources import Piece, Source
from .store import Index, read_index, write_shard


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
        for piece in track(missing, f"preparing {folder.name}", disable=not missing, transient=True):
            shard = write_shard(folder, piece.split, piece.name, source.read(piece))
            index = replace(index, shards=(*index.shards, shard))
            index.write(folder)
    return index
