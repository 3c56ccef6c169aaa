"""The smallest training run that exercises everything, and a process to run it in."""

import csv
import os
import subprocess
import sys
from pathlib import Path

from scripts import ROOT

TINY = [
    *("data.size=16", "data.views=5", "data.train=24", "data.val=8", "data.test=8", "data.batch_size=8"),
    *("model.generator.size=16", "model.generator.steps=2", "model.encoder.width=8", "model.encoder.channels=8"),
    *("model.generator.hidden_channels=8", "model.generator.canvas_channels=8"),
    *("training.context=[1,3]", "training.validation_counts=[1,3]", "training.reference_count=3"),
    *("trainer.max_steps=8", "trainer.val_check_interval=3", "trainer.log_every_n_steps=1"),
]


def train(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python train.py ARGUMENTS`` in the folder ``place``."""
    command = [sys.executable, str(ROOT / "train.py"), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests"), "WANDB_MODE": "offline"}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300, check=False)


def rows(folder: Path) -> list[dict[str, str]]:
    """The logged metrics of a run, but for how fast it was."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if "per_second" not in k} for row in csv.DictReader(file)]
