"""WorkerSettings of a DataLoader, started in a way that works within the processes of every launcher and pool."""

import multiprocessing
import sys
from typing import TypedDict


class WorkerSettings(TypedDict):
    """Arguments of a DataLoader."""

    num_workers: int
    multiprocessing_context: str | None


def worker_settings(workers: int) -> WorkerSettings:
    """Arguments of a DataLoader that is to work in so many processes; 0 works in the present one.

    Where the present process may start none, as in a ``multiprocessing.Pool``, it works itself.
    """
    if multiprocessing.current_process().daemon or workers == 0:
        return {"num_workers": 0, "multiprocessing_context": None}
    # Named, because the default within joblib's processes is a way to start them that is joblib's own.
    return {"num_workers": workers, "multiprocessing_context": "fork" if sys.platform == "linux" else "spawn"}
