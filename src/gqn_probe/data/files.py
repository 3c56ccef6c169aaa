"""Files of a data set, in a folder or behind any fsspec URL; a broken transfer is tried again, then named."""

import time
from pathlib import Path

import fsspec
from fsspec.core import url_to_fs

ATTEMPTS = 4
PAUSE = 0.5  # seconds before the second attempt; doubles


def fetch(path: str | Path) -> bytes:
    """The content of a file, of which nothing stays on disk.

    Raises:
        ValueError: where it does not exist, or where every attempt to read it breaks.
    """
    for attempt in range(ATTEMPTS):
        try:
            with fsspec.open(str(path), "rb") as file:
                return file.read()  # pyright: ignore[reportAttributeAccessIssue]
        except FileNotFoundError:
            raise ValueError(f"{path} does not exist") from None
        except IsADirectoryError:
            raise ValueError(f"{path} is a folder: name a file in it") from None
        except OSError as error:
            if attempt == ATTEMPTS - 1:
                raise ValueError(f"{path} could not be read in {ATTEMPTS} attempts: {error}") from None
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError("unreachable")


def resolve(root: str) -> str:
    """A URL as it is; a folder as an absolute path."""
    return root.rstrip("/") if "://" in root else str(Path(root).expanduser().absolute())


def file_sizes(folder: str, suffix: str) -> dict[str, int]:
    """Names and sizes in bytes of the files in a folder that end in ``suffix``; none where there is no folder."""
    system, path = url_to_fs(folder)
    try:
        found = system.ls(path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    sizes = {Path(entry["name"]).name: entry["size"] for entry in found if entry["name"].endswith(suffix)}
    return dict(sorted(sizes.items()))
