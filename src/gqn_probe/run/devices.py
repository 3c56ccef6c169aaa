"""Processes of several devices: their number, the command line that Lightning starts, and one report of an error."""

import contextlib
import fcntl
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict, read_write

from gqn_probe.run.job import is_first_process

# gloo's and NCCL's words
OTHER_ENDED = re.compile(r"Connection (closed|reset) by peer|Broken pipe|remote process exited")


def check_world_size(trainer: DictConfig) -> None:
    """Raise ValueError if torchrun started another number of processes than the trainer has devices.

    The message names the right settings; processes other than the first exit without one.
    """
    world, devices, nodes = os.environ.get("WORLD_SIZE"), trainer.devices, trainer.num_nodes
    if "TORCHELASTIC_RUN_ID" not in os.environ or world is None or devices in ("auto", -1, "-1"):
        return
    wanted = (len(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else int(devices)) * nodes
    if int(world) != wanted:
        local = os.environ.get("LOCAL_WORLD_SIZE", world)
        if not is_first_process():
            sys.exit(1)  # the first process reports the error
        raise ValueError(
            f"torchrun started {world} processes for trainer.devices={devices} and trainer.num_nodes={nodes}: "
            f"give train.py trainer.devices={local} trainer.num_nodes={int(world) // int(local)}"
        )


@contextlib.contextmanager
def as_single_run() -> Iterator[None]:
    """Let the processes that Lightning starts for further devices run this job only.

    Lightning starts them with the parent's command line, which under ``-m`` is the whole sweep. In this context they
    get the composed configuration and the folder of the present job. The environment is restored afterwards, so that
    the next job of a sweep starts processes of its own. A further process that fails keeps its connections, by whose
    end the others notice, until it has reported the error.
    """
    config: Any = HydraConfig.get()
    folder = config.runtime.output_dir
    argv, run_folder, environment = sys.argv, config.run.dir, dict(os.environ)
    composed, first, finished = Path(folder) / ".hydra", is_first_process(), False
    with read_write(config), open_dict(config):
        config.run.dir = folder
    sys.argv = [argv[0], "--config-path", str(composed), "--config-name", "config"]
    try:
        yield
        finished = True
    except RuntimeError as error:
        if OTHER_ENDED.search(str(error)):
            if not first:
                sys.exit(0)  # the first process reports it
            raise ValueError("the process of another device ended; it says why itself, unless it was killed") from error
        raise
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        import torch

        if torch.distributed.is_initialized() and (first or finished):
            torch.distributed.destroy_process_group()
        with read_write(config), open_dict(config):
            config.run.dir = run_folder


class ErrorLog:
    """Log file of a run, to which the first of its processes that fails adds the error."""

    def __init__(self, path: Path) -> None:
        self.path, self.begin = path, path.stat().st_size if path.exists() else 0

    def add(self, message: str) -> bool:
        """Append an error, unless another process of this run did; return True if this process is to report it."""
        with contextlib.suppress(OSError), self.path.open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(self.begin)
            if any(line.startswith("error: ") for line in file):
                return False
            file.seek(0, os.SEEK_END)
            file.write(f"error: {message}\n")
        return True
