"""Provenance of a result, as ``provenance.json`` beside it."""

import json
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from gqn_probe.atomic_io import write_text
from gqn_probe.run.job import STARTED, plain_config


@rank_zero_only
def write_provenance(folder: Path, cfg: DictConfig, *, device: str | torch.device, **facts: Any) -> None:
    """Write ``provenance.json``: command, git revision, versions, device, duration, ``facts`` and configuration."""
    gpu = f" ({torch.cuda.get_device_name(device)})" if torch.device(device).type == "cuda" else ""
    record = {
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "revision": git_revision(),
        "versions": {
            name: version(name) for name in ("gqn-probe", "torch", "pytorch-lightning", "hydra-core", "numpy")
        },
        "python": sys.version.split()[0],
        "device": f"{device}{gpu}",
        "threads": torch.get_num_threads(),
        "seconds": round(time.time() - STARTED.get(), 1),
        **facts,
        "config": plain_config(cfg),
    }
    write_text(folder / "provenance.json", json.dumps(record, indent=2, default=str))


def git_revision() -> str:
    """Return the commit of the source tree, with ``+changes`` if files differ from it; ``unknown`` outside git."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+changes" if changed else "")
