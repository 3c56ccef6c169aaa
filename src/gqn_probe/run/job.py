"""One Hydra job: seeds, output folders, plain configuration, objects built from it, processes of further devices.

Torch and Lightning take seconds to import, so that nothing here does at the top: the command line is read first.
"""

import contextlib
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

OTHER_ENDED = re.compile(
    r"Connection (closed|reset) by peer|Broken pipe|remote process exited"
)  # gloo's and NCCL's words
STARTED: ContextVar[float] = ContextVar("STARTED")  # when the job began: one process may run those of a sweep
LONGEST_NAME = 100  # characters of what a run is called; W&B takes 128
IGNORED_WARNINGS = (  # of which users can do nothing
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning under a newer torch
    r"Checkpoint directory .* exists and is not empty",  # it is that of the run that goes on
    r"The '\w+_dataloader' does not have many workers",  # reading a batch takes about a millisecond
    r"The number of training batches .* is smaller than the logging interval",
)


def setup_job(seed: object) -> None:
    """Note the time, seed Python, NumPy and torch, and silence warnings of which users can do nothing.

    Raises:
        ValueError: ``seed`` is not a whole number of 0 or more.
    """
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed={seed} must be a whole number, 0 or more")
    STARTED.set(time.time())
    from pytorch_lightning import seed_everything

    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.raiseExceptions = False  # a log that cannot be written, as on a full disk, is no reason for a traceback
    if not is_first_process():
        logging.getLogger().setLevel(logging.WARNING)  # the first process speaks for all
    for message in IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    seed_everything(seed, workers=True, verbose=False)


def is_first_process() -> bool:
    """Whether this is the process of the first device, or the only one."""
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return next((int(rank) for rank in ranks if rank), 0) == 0


def check_world_size(trainer: DictConfig) -> None:
    """Refuse a number of processes, started by torchrun, that is not the number of devices.

    Raises:
        ValueError: they differ; names the command that is right.
    """
    world, devices, nodes = os.environ.get("WORLD_SIZE"), trainer.devices, trainer.num_nodes
    if "TORCHELASTIC_RUN_ID" not in os.environ or world is None or devices in ("auto", -1, "-1"):
        return
    wanted = (len(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else int(devices)) * nodes
    if int(world) != wanted:
        local = os.environ.get("LOCAL_WORLD_SIZE", world)
        if not is_first_process():
            sys.exit(1)  # the first process speaks for all
        raise ValueError(
            f"torchrun started {world} processes for trainer.devices={devices} and trainer.num_nodes={nodes}: "
            f"give train.py trainer.devices={local} trainer.num_nodes={int(world) // int(local)}"
        )


def output_folder() -> Path:
    """The folder of this job, absolute, the same in every process of a multi-device run."""
    return Path(HydraConfig.get().runtime.output_dir)


def in_sweep() -> bool:
    """Whether this job is one of a multirun."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


def number() -> int:
    """The number of this job in its sweep, from 0; 0 outside a job of a sweep, and after the last one."""
    if not HydraConfig.initialized() or OmegaConf.is_missing(HydraConfig.get().job, "num"):
        return 0
    return HydraConfig.get().job.num


def root_folder() -> Path:
    """The folder that all jobs of a sweep share; that of the job, outside a sweep."""
    return Path(HydraConfig.get().sweep.dir).resolve() if in_sweep() else output_folder()


def run_name(seed: int) -> str:
    """Name of a training run on W&B: its experiment, or its model; in a sweep what its job sets; its seed."""
    config = HydraConfig.get()
    choices = config.runtime.choices
    group = "experiment" if choices.get("experiment") else "model"
    words = [choices.get(group) or "train"]
    if in_sweep():
        given = (override.lstrip("+").partition("=") for override in config.overrides.task)
        words += [f"{re.split('[./]', key)[-1]}={value}" for key, _, value in given if key not in (group, "seed")]
    return f"{' '.join(words)[:LONGEST_NAME]} seed={seed}"


def plain_config(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain containers, which checkpoints and JSON can hold."""
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def instantiate(node: DictConfig, **values: Any) -> Any:
    """Build the object that ``node._target_`` names, with plain containers for its arguments."""
    return hydra.utils.instantiate(node, _convert_="all", **values)


@contextlib.contextmanager
def as_single_run() -> Iterator[None]:
    """Make the processes that Lightning starts for further devices repeat this job alone.

    Lightning starts them with the parent's command line. Under ``-m`` that is the whole sweep, so each would run
    every job again; here they get the composed configuration and folder of the present job instead. Afterwards the
    environment is as before, so that the next job of a sweep starts processes of its own.
    """
    config: Any = HydraConfig.get()
    folder = config.runtime.output_dir
    argv, run_folder, environment = sys.argv, config.run.dir, dict(os.environ)
    composed = Path(folder) / ".hydra"
    with read_write(config), open_dict(config):
        config.run.dir = folder
    sys.argv = [argv[0], "--config-path", str(composed), "--config-name", "config"]
    try:
        yield
    except RuntimeError as error:
        if OTHER_ENDED.search(str(error)):
            raise ValueError("the process of another device ended; it says why itself, unless it was killed") from error
        raise
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        import torch

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        with read_write(config), open_dict(config):
            config.run.dir = run_folder
