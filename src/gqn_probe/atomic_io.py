"""Atomic file writing: a file is written under a temporary name and renamed once it is complete."""

import csv
import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

LITTLE = 2**20  # bytes of free space below which a disk counts as full
BLOCK = 2**16  # bytes written at a time: a long write makes large pages, which count whole when the file is mapped


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to ``path`` on success, delete it on error.

    Raises:
        OSError: the disk is full; names the folder, whatever the writer raised.
    """
    # The suffix stays, by which many writers choose the format.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.draft{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except Exception as error:
        if _is_full(path.parent, error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path.parent)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def reserve(path: Path, size: int) -> None:
    """Allocate ``size`` bytes on disk for a file, since writing to a mapped file on a full disk kills the process.

    Raises:
        OSError: there is not enough space; names the folder.
    """
    with path.open("ab") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            elif shutil.disk_usage(path.parent).free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if path.stat().st_size < size:
                file.truncate(size)
        except OSError as error:
            path.unlink()
            raise OSError(error.errno, error.strerror, str(path.parent)) from error


def _is_full(folder: Path, error: Exception) -> bool:
    """Return True if a writer failed because the disk is full, which torch does not report as such."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, RuntimeError) and folder.is_dir() and shutil.disk_usage(folder).free < LITTLE


def remove_temporary_files(folder: Path) -> None:
    """Delete the temporary files that killed processes left in ``folder``."""
    for temporary in folder.glob(".*.draft*"):
        temporary.unlink(missing_ok=True)  # its writer, whose parent was killed, may be about to rename it


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file with a header row; floats in full precision, None and "" as empty cells."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def write_tensors(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write contiguous CPU tensors as safetensors.

    The library's own file writer goes by a hidden file beside the path, which it leaves behind when it is killed.
    """
    from safetensors.torch import save  # torch takes seconds to import

    with atomic_write(path) as temporary:
        content = memoryview(save(dict(tensors), dict(metadata) if metadata else None))
        with temporary.open("wb", buffering=0) as file:
            for start in range(0, len(content), BLOCK):
                file.write(content[start : start + BLOCK])


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a compressed ``.npz``."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  (pyright takes any keyword for allow_pickle)
