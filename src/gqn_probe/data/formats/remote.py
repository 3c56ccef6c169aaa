"""Read files from a folder or any fsspec URL; failed transfers are tried again."""

import os
import posixpath
import time
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

ATTEMPTS = 4
VERSION_FIELDS = ("size", "mtime", "md5Hash", "ETag", "LastModified")  # gs, s3, http and others
PAUSE = 0.5  # seconds before the second attempt; doubles


def _open(path: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a path or URL, and the path in it; public buckets are read anonymously."""
    options = {"token": "anon"} if path.startswith(("gs://", "gcs://")) else {}
    try:
        return url_to_fs(path, **options)
    except ImportError as error:
        raise ValueError(f"{path} needs another package ({error}): pip install 'gqn-probe[cloud]' for gs://") from None
    except ValueError as error:
        raise ValueError(f"{path} cannot be opened: {error}") from None


def fetch(path: str | Path) -> bytes:
    """Read a file; of a remote one, nothing is kept on disk. A ValueError says why every attempt failed."""
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
    """Return the absolute path of a folder, or a URL without trailing slashes."""
    return root.rstrip("/") if "://" in root else str(Path(root).expanduser().absolute())


def file_versions(folder: str) -> dict[str, str]:
    """Return the version of each file below a folder, a string that changes when it does, by its path in the folder.

    Links are followed; broken ones are left out.

    Raises:
        ValueError: the folder cannot be listed.
    """
    system, path = _open(folder)
    try:
        if isinstance(system, LocalFileSystem):
            return _local_versions(path)
        found: Any = system.find(path, detail=True)
    except Exception as error:
        raise ValueError(f"{folder} cannot be listed: {error}") from None
    return {
        name.removeprefix(path).lstrip("/"): " ".join(str(entry.get(fact)) for fact in VERSION_FIELDS)
        for name, entry in found.items()
    }


def _local_versions(folder: str) -> dict[str, str]:
    versions: dict[str, str] = {}
    above: dict[str, set[str]] = {folder: {os.path.realpath(folder)}}
    for parent, folders, names in os.walk(folder, followlinks=True):
        for path in (Path(parent, name) for name in names):
            if path.exists():
                facts = path.stat()
                versions[path.relative_to(folder).as_posix()] = f"{facts.st_size} {facts.st_mtime_ns}"
        real = {name: os.path.realpath(posixpath.join(parent, name)) for name in folders}
        folders[:] = [name for name in folders if real[name] not in above[parent]]  # not into one that contains it
        above |= {posixpath.join(parent, name): above[parent] | {real[name]} for name in folders}
    return versions


def file_sizes(folder: str, suffixes: str | tuple[str, ...]) -> dict[str, int]:
    """Return the size in bytes of each file of a folder whose name ends in one of the suffixes.

    It is empty if the folder does not exist.

    Raises:
        ValueError: the folder cannot be listed.
    """
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
