"""What Hydra calls around a sweep of ``probe.py``: a bar over its jobs, and the study after the last."""

import atexit
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from gqn_probe import run, study
from gqn_probe.progress import progress
from hydra_plugins.gqn_probe_range.range_sweeper import expand


class StudyAfterSweep(Callback):
    """After the last job of ``python probe.py -m``: one study for each setting that was swept beside the context."""

    def __init__(self) -> None:
        self.bar = ExitStack()
        self.advance: Callable[[int], None] = lambda done: None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            jobs = len(expand(config.hydra.overrides.task, config.hydra.sweeper.ranges))
        except HydraException:  # which the sweeper is about to report
            return
        self.advance = self.bar.enter_context(progress("jobs of the sweep", jobs, "jobs"))
        atexit.register(self.bar.close)  # a sweep of which every job fails has no end

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        self.advance(1)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        self.bar.close()
        HydraConfig.instance().set_config(config)  # Hydra has unset the last job's
        folder = Path(config.hydra.sweep.dir).resolve()
        groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
        for file in sorted(folder.glob("*/.hydra/overrides.yaml"), key=lambda path: int(path.parts[-3])):
            overrides = (str(item) for item in OmegaConf.load(file))
            groups[tuple(item for item in overrides if not item.startswith("context="))].append(file.parent.parent)
        for overrides, jobs in groups.items():
            name = "" if len(groups) == 1 else ",".join(overrides).replace("/", "-")
            try:
                study_of(jobs, folder / name)
            except run.USER_ERRORS as error:  # Hydra would make a warning of it, and exit status 0
                sys.exit(f"error: {run.one_line(error)}")


def study_of(jobs: list[Path], folder: Path) -> None:
    """The study of finished jobs, under the configuration of the first."""
    cfg = OmegaConf.load(jobs[0] / ".hydra" / "config.yaml")
    assert isinstance(cfg, DictConfig)
    settings = run.instantiate(cfg.probe)
    study.finish(cfg, study.open_material(cfg, settings), settings, jobs, folder)
