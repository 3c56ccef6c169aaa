"""Files that are whole or absent: written under a temporary name, and renamed at the end."""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A draft to write to, which becomes ``path`` at the end unless something was raised."""
    draft = path.with_name(f".{path.stem}.{os.getpid()}.draft{path.suffix}")  # many writers go by the suffix
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def remove_drafts(folder: Path) -> None:
    """Delete what killed processes left unfinished."""
    for draft in folder.glob(".*.draft*"):
        draft.unlink(missing_ok=True)  # its writer, whose parent was killed, may be about to rename it


def write_text(path: Path, text: str) -> None:
    with written(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table with a header; floats in full precision, None and "" as empty cells."""
    with written(path) as draft, draft.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """A compressed ``.npz``."""
    with written(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  (pyright takes any keyword for allow_pickle)
