"""Worker processes of a DataLoader, which also start inside the processes of launchers and pools."""

import multiprocessing
import os
import sys
from typing import Any


def worker_settings(workers: int) -> dict[str, Any]:
    """Return the DataLoader arguments for ``workers`` processes, at most one for each core that this process may use.

    0, or a process that may not start others (a worker of a ``multiprocessing.Pool``), loads in the process itself.
    """
    if multiprocessing.current_process().daemon or workers == 0:
        return {"num_workers": 0, "multiprocessing_context": None}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Explicit, because inside joblib's processes the default context is joblib's own.
    context = "fork" if sys.platform == "linux" else "spawn"
    return {"num_workers": min(workers, cores), "multiprocessing_context": context}
