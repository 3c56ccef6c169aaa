"""Hydra callback that creates an output folder for each run and locks it while the run lasts."""

import fcntl
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from gqn_probe.run.cli_errors import one_line

if TYPE_CHECKING:
    from torch.distributed import TCPStore

_locks: list[int] = []  # open file descriptors of this process, which hold a lock until they are closed


class ClaimFolder(Callback):
    """Callback before a run or a sweep: create a new folder, or lock the one that the user named or draws again."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._claim(config, "run")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._claim(config, "sweep")

    @staticmethod
    def _claim(config: DictConfig, kind: str) -> None:
        by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
        if "LOCAL_RANK" in os.environ and not by_torchrun:
            return  # a process of a further device, which uses its parent's folder
        redrawn = config.get("report")  # the folder of a finished study, which keeps the settings that it was run with
        if redrawn and kind == "sweep":
            sys.exit("error: report= draws one report again: leave -m out")
        asked = Path(str(redrawn or config.hydra[kind].dir))
        named = bool(redrawn) or any(item.startswith(f"hydra.{kind}.dir=") for item in config.hydra.overrides.hydra)
        if redrawn and not asked.is_dir():
            sys.exit(f"error: report={redrawn} is not a folder: give the one that probe.py wrote")
        try:
            folder = _shared_by_torchrun(asked, named) if by_torchrun else _claimed(asked, named)
        except (OSError, ValueError) as error:
            sys.exit(f"error: {one_line(error)}")  # Hydra makes warnings of a callback's exceptions
        if redrawn or folder != asked:
            with read_write(config), open_dict(config):
                config.hydra[kind].dir = str(folder)
                config.hydra.output_subdir = None if redrawn else config.hydra.output_subdir
                config.hydra.overrides.hydra.append(f"hydra.{kind}.dir='{folder}'")  # for the jobs of a sweep


def new_folder(path: Path) -> Path:
    """Create ``path``, or the first of ``path-2``, ``path-3``, ... that does not exist, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    candidate, number = path, 1
    while True:
        try:
            candidate.mkdir()
        except FileExistsError:
            number += 1
            candidate = path.with_name(f"{path.name}-{number}")
        else:
            return candidate


def lock_folder(folder: Path) -> None:
    """Lock ``folder`` until this process ends or locks another one.

    Raises:
        ValueError: another process holds the lock.
    """
    while _locks:
        os.close(_locks.pop())
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ValueError(f"{folder} is in use by another run: wait for its end, or name another folder") from None
    except OSError:  # a file system without locks
        os.close(descriptor)
        return
    _locks.append(descriptor)


def _claimed(asked: Path, named: bool) -> Path:
    """Create and lock the folder of this run; processes that Slurm started share one named after their job."""
    job, step = (os.environ.get(f"SLURM_{name}_ID") for name in ("JOB", "STEP"))
    together = int(os.environ.get("SLURM_NTASKS", "1")) > 1 and step is not None
    if together and not named:
        asked = asked.parents[1] / "slurm" / f"{job}.{step}"
    folder = asked if named or together else new_folder(asked)
    folder.mkdir(parents=True, exist_ok=True)
    if not together or os.environ.get("SLURM_PROCID") == "0":
        lock_folder(folder)
    return folder


def _shared_by_torchrun(asked: Path, named: bool) -> Path:
    """Return the folder that torchrun's first process claims and shares with the others through torchrun's store."""
    key = f"gqn_probe/folder/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    if os.environ["RANK"] != "0":
        return Path(_torchrun_store().get(key).decode())
    folder = _claimed(asked, named)
    _torchrun_store().set(key, str(folder))
    return folder


def _torchrun_store() -> "TCPStore":
    from torch.distributed import TCPStore  # torch takes seconds to import

    return TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
