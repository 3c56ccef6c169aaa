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

STARTED: ContextVar[float] = ContextVar("STARTED")  # start of the job; one process may run several jobs of a sweep
LONGEST_NAME = 100  # characters of a run's name; W&B allows 128
IGNORED_WARNINGS = (  # that users can do nothing about
    r"The `srun` command is available",  # Slurm is installed, which is no reason to use it for one process
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning under a newer torch
    r"Checkpoint directory .* exists and is not empty",  # expected when a run is resumed
    r"The '\w+_dataloader' does not have many workers",  # reading a batch takes about a millisecond
    r"The number of training batches .* is smaller than the logging interval",
)


def setup_job(seed: object) -> None:
    """Record the start time, seed Python, NumPy and torch, and silence warnings that users can do nothing about.

    Raises:
        ValueError: ``seed`` is not a whole number of 0 or more.
    """
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed={seed} must be a whole number, 0 or more")
    STARTED.set(time.time())
    from pytorch_lightning import seed_everything

    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.raiseExceptions = False  # no traceback when a log cannot be written, as on a full disk
    if not is_first_process():
        logging.getLogger().setLevel(logging.WARNING)  # only the first process logs
    for message in IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    seed_everything(seed, workers=True, verbose=False)


def is_first_process() -> bool:
    """Return True in the process of the first device, or in the only one."""
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return next((int(rank) for rank in ranks if rank), 0) == 0


def output_folder() -> Path:
    """Return the absolute folder of this job, the same in every process of a multi-device run."""
    return Path(HydraConfig.get().runtime.output_dir)


def in_sweep() -> bool:
    """Return True if this job is one of a multirun."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


def number() -> int:
    """Return the index of this job in its sweep; 0 outside a sweep and after its last job."""
    if not HydraConfig.initialized() or OmegaConf.is_missing(HydraConfig.get().job, "num"):
        return 0
    return HydraConfig.get().job.num


def root_folder() -> Path:
    """Return the folder that all jobs of a sweep share, or outside a sweep the folder of the job."""
    return Path(HydraConfig.get().sweep.dir).resolve() if in_sweep() else output_folder()


def run_name(seed: int) -> str:
    """Return the name of a training run on W&B: experiment or model, in a sweep the overrides of its job, and seed."""
    config = HydraConfig.get()
    choices = config.runtime.choices
    group = "experiment" if choices.get("experiment") else "model"
    words = [choices.get(group) or "train"]
    if in_sweep():
        given = (override.lstrip("+").partition("=") for override in config.overrides.task)
        words += [f"{re.split('[./]', key)[-1]}={value}" for key, _, value in given if key not in (group, "seed")]
    return f"{' '.join(words)[:LONGEST_NAME]} seed={seed}"


def plain_config(cfg: DictConfig) -> dict[str, Any]:
    """Return the resolved configuration as plain containers, for checkpoints and JSON."""
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def instantiate(node: DictConfig, **values: Any) -> Any:
    """Build the object of ``node._target_``, with plain containers as arguments."""
    return hydra.utils.instantiate(node, _convert_="all", **values)


def open_data(node: DictConfig) -> Any:
    """Build the DataModule of the configuration.

    Raises:
        ValueError: it is ``data=none``.
    """
    if "_target_" not in node:
        raise ValueError("data=none has no scenes for a GQN to look at: it is for probe.py with features=FILE")
    return instantiate(node)
