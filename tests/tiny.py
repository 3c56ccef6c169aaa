"""The smallest network, data and training run that exercise everything, and a process to run it in."""

import functools
import subprocess
import sys
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from scripts import ENVIRONMENT, ROOT, read_table
from small_networks import small_generator
from torch.optim import AdamW

from gqn_probe.data import SceneDataModule
from gqn_probe.model import GQN, Tower
from gqn_probe.run import job
from gqn_probe.training.gqn_module import GQNModule
from gqn_probe.training.schedules import Schedule

SIZE = 16

TINY = [
    *("data.size=16", "data.views=5", "data.train=24", "data.val=8", "data.test=8", "data.batch_size=8"),
    *("model.generator.size=16", "model.generator.steps=2", "model.encoder.width=8", "model.encoder.channels=8"),
    *("model.encoder.points=16", "model.encoder.heads=2", "data.parts=5", "training.queries=1"),
    *("model.generator.hidden_channels=8", "model.generator.canvas_channels=8"),
    *("training.context=[1,3]", "training.validation_counts=[1,3]", "training.reference_count=3"),
    *("trainer.max_steps=8", "trainer.val_check_interval=3", "trainer.log_every_n_steps=1"),
    "trainer.precision=32-true",
]


def train(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python train.py ARGUMENTS`` in the folder ``place``."""
    command = [sys.executable, str(ROOT / "train.py"), *arguments]
    return subprocess.run(command, cwd=place, env=ENVIRONMENT, capture_output=True, text=True, timeout=900, check=False)


def rows(folder: Path) -> list[dict[str, str]]:
    """The logged metrics of a run, but for how fast it was."""
    return [{k: v for k, v in row.items() if "per_second" not in k} for row in read_table(folder / "metrics.csv")]


def tiny_data(cache: Path, *overrides: str) -> SceneDataModule:
    """The data of the run, read in the process itself."""
    settings = composed("data.num_workers=0", *overrides).data.copy()
    settings.cache = str(cache)
    return job.instantiate(settings)


@functools.cache
def composed(*overrides: str) -> DictConfig:
    """The configuration of the run."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", [*TINY, *overrides])


def constant(value: float) -> Schedule:
    return Schedule(start=value, end=value, steps=1)


def tiny_module(**changes) -> GQNModule:
    gqn = GQN(
        encoder=Tower(width=8, channels=8, pooled=False),
        generator=small_generator(),
        aggregation="sum",
    )
    settings = {
        "optimizer": AdamW,
        "learning_rate": constant(1e-3),
        "sigma": constant(0.7),
        "kl_weight": constant(1.0),
        "scale_by_variance": False,
        "context": (1, 3),
        "queries": 1,
        "sizes": (),
        "unseen_queries": False,
        "validation_counts": (1, 2),
        "reference_count": 2,
        "compile": False,
        "seed": 0,
    }
    return GQNModule(gqn, **(settings | changes))
