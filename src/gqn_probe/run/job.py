"""A Hydra job: its seed, output folder and number in a sweep, and objects built from its configuration.

No torch or Lightning at the top: they take seconds to import, and the command line is read first.
"""

import logging
import os
import re
import time
import warnings
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

STARTED: ContextVar[float] = ContextVar("STARTED")  # when the job began: one process may run those of a sweep
LONGEST_NAME = 100  # characters of what a run is called; W&B takes 128
IGNORED_WARNINGS = (  # of which users can do nothing
    r"The `srun` command is available",  # Slurm is installed, which is no reason to use it for one process
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
