"""Files of a data set, in a folder or behind any fsspec URL; a broken transfer is tried again, then named."""

import time
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

ATTEMPTS = 4
VERSION = ("size", "mtime", "md5Hash", "ETag", "LastModified")  # local, gs, s3 and http
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


def resolve(root: str) -> str:
    """A URL as it is; a folder as an absolute path."""
    return root.rstrip("/") if "://" in root else str(Path(root).expanduser().absolute())


def file_versions(folder: str) -> dict[str, str]:
    """What tells whether a file was changed, of all files below a folder, by their path in it."""
    system, path = _open(folder)
    try:
        found: Any = system.find(path, detail=True)
    except Exception as error:
        raise ValueError(f"{folder} cannot be listed: {error}") from None
    return {
        name.removeprefix(path).lstrip("/"): " ".join(str(entry.get(fact)) for fact in VERSION)
        for name, entry in found.items()
    }


def file_sizes(folder: str, suffix: str) -> dict[str, int]:
    """Names and sizes in bytes of the files in a folder that end in ``suffix``; none where there is no folder."""
    system, path = _open(folder)
    try:
        found = system.ls(path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except Exception as error:
        raise ValueError(f"{folder} cannot be listed: {error}") from None
    sizes = {Path(entry["name"]).name: entry["size"] for entry in found}
    # macOS leaves a hidden companion "._NAME" beside each file on other file systems.
    return {name: size for name, size in sorted(sizes.items()) if name.endswith(suffix) and name[0] != "."}
