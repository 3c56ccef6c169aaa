"""Files of a data set, in a folder or behind any fsspec URL; a broken transfer is tried again, then named."""

import os
import posixpath
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

ATTEMPTS = 4
VERSION = ("size", "mtime", "md5Hash", "ETag", "LastModified")  # gs, s3, http and others
PAUSE = 0.5  # seconds before the second attempt; doubles


def _open(path: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a path or URL, and the path in it; public buckets are read anonymously."""
    options = {"token": "anon"} if path.startswith(("gs://", "gcs://")) else {}
    try:
        return url_to_fs(path, **options)
    except ImportError as error:
        raise ValueError(f"{path} needs another package ({error}): pip install 'gqn-probe[cloud]' for gs://") from None
    except ValueError as error:
        raise ValueError(f"{path} cannot be opened: {error}") from None


def fetch(path: str | Path) -> bytes:
    """The content of a file, of which nothing stays on disk.

    Raises:
        ValueError: where it does not exist, or where every attempt to read it breaks.
    """
    system, place = _open(str(path))
    for attempt in range(ATTEMPTS):
        try:
            with system.open(place, "rb") as file:
                return file.read()  # pyright: ignore[reportReturnType]
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"{path} does not exist") from None
        except IsADirectoryError:
            raise ValueError(f"{path} is a folder: name a file in it") from None
        except Exception as error:  # every file system has errors of its own
            if attempt == ATTEMPTS - 1:
                raise ValueError(f"{path} could not be read in {ATTEMPTS} attempts: {error}") from None
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError("unreachable")


def resolve_root(root: str) -> str:
    """A URL as it is; a folder as an absolute path."""
    return root.rstrip("/") if "://" in root else str(Path(root).expanduser().absolute())


def file_versions(folder: str) -> dict[str, str]:
    """Versions of all files below a folder, by their path in it, to notice a change; links are followed."""
    system, path = _open(folder)
    try:
        if isinstance(system, LocalFileSystem):
            return {name.removeprefix(path).lstrip("/"): local_version(name) or "" for name in _walk(path)}
        found: Any = system.find(path, detail=True)
    except Exception as error:
        raise ValueError(f"{folder} cannot be listed: {error}") from None
    return {
        name.removeprefix(path).lstrip("/"): " ".join(str(entry.get(fact)) for fact in VERSION)
        for name, entry in found.items()
    }


def _walk(folder: str) -> Iterator[str]:
    """All files below a folder on disk, through links, but no folder within itself."""
    above: dict[str, set[str]] = {folder: {os.path.realpath(folder)}}
    for parent, folders, names in os.walk(folder, followlinks=True):
        yield from (posixpath.join(parent, name) for name in names)
        real = {name: os.path.realpath(posixpath.join(parent, name)) for name in folders}
        folders[:] = [name for name in folders if real[name] not in above[parent]]
        above |= {posixpath.join(parent, name): above[parent] | {real[name]} for name in folders}


def local_version(path: str) -> str | None:
    """Version of a file on disk, to notice a change; None where there is no file."""
    try:
        facts = Path(path).stat()
    except OSError:
        return None
    return f"{facts.st_size} {facts.st_mtime_ns}"


def file_sizes(folder: str, suffixes: str | tuple[str, ...]) -> dict[str, int]:
    """Names and sizes in bytes of the files in a folder that end in a suffix; none where there is no folder."""
    system, path = _open(folder)
    try:
        found = system.ls(path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except Exception as error:
        raise ValueError(f"{folder} cannot be listed: {error}") from None
    sizes = {Path(entry["name"]).name: entry["size"] for entry in found}
    # macOS leaves a hidden companion "._NAME" beside each file on other file systems.
    return {name: size for name, size in sorted(sizes.items()) if name.endswith(suffixes) and name[0] != "."}
