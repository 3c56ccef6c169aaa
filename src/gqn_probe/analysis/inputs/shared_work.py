"""Work that any number of jobs share, on one machine or on many that see the same folder.

Each takes a block that nobody is at, until all are done; the block of a job that was killed is free again.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout


def share_blocks(blocks: int, folder: Path, *, is_done: Callable[[int], bool], do: Callable[[int], None]) -> None:
    """Return when all blocks are done, by this job or by others.

    Args:
        folder: holds a lock a block; it is made, and must stay while any job may be at work.
        is_done: whether a block needs no work, whoever did it.
        do: does one block; its result must be whole or absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    left = list(range(blocks))
    wait = 0.0  # seconds, for a block that another job is at; less than 0 waits for its end
    while left := [block for block in left if not is_done(block)]:
        free = False
        for block in left:
            with suppress(Timeout), FileLock(folder / f"{block:05d}.lock", timeout=wait):
                free, wait = True, 0.0
                if not is_done(block):
                    do(block)
        wait = 0.0 if free else -1.0
