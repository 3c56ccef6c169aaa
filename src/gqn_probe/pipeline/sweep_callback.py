"""Hydra callback around a sweep of ``probe.py``: a progress bar over its jobs, and the study after the last."""

import atexit
import logging
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from gqn_probe.progress import progress
from gqn_probe.run import job
from gqn_probe.run.cli import TRACEBACK_WANTED
from gqn_probe.run.cli_errors import USER_ERRORS, one_line
from hydra_plugins.gqn_probe_range.range_sweeper import expand

log = logging.getLogger(__name__)
LONGEST = 80  # characters of a folder's name: it is part of names on W&B, which hold 128
UNSAFE = re.compile(r"[^A-Za-z0-9._=,-]+")  # in a folder's name, which needs no quotes in a shell


class StudyAfterSweep(Callback):
    """After the last job of ``python probe.py -m``: one study for each setting that was swept beside the context."""

    def __init__(self) -> None:
        self.bar = ExitStack()
        self.advance: Callable[[int], None] = lambda done: None

    def __reduce__(self) -> tuple:
        return StudyAfterSweep, ()  # launchers send callbacks to processes of their own; the bar stays here

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if any(item.startswith("report=") for item in config.hydra.overrides.task):
            sys.exit("error: report= makes figures and report again, once: leave -m out")
        if "ranges" not in config.hydra.sweeper:  # another sweeper, which may not know the number of its jobs
            return
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
        folder = Path(config.hydra.sweep.dir).resolve()
        with read_write(config), open_dict(config):  # Hydra has unset what was set for the last job
            config.hydra.runtime.output_dir = str(folder)
        HydraConfig.instance().set_config(config)
        configure_log(config.hydra.job_logging, config.hydra.verbose)
        jobs = jobs_of(config, folder)
        if not jobs:
            sys.exit(f"error: no job left its configuration below {folder}; keep hydra.output_subdir=.hydra")
        studies = by_setting([each for each in jobs if config_of(each).get("analysis") is None])  # others are whole
        failed = [name for name, jobs in studies.items() if not succeeds(jobs, folder / name)]
        if len(studies) > len(failed) + 1:
            from gqn_probe.pipeline.study_run import finish_sweep

            finish_sweep(config_of(next(iter(studies.values()))[0]), folder)
        if failed:
            sys.exit(1)


def jobs_of(config: DictConfig, folder: Path) -> list[Path]:
    """The folders of this sweep's jobs below ``folder``, in order, without those that an earlier sweep left there."""
    wanted = None
    if "ranges" in config.hydra.sweeper:
        wanted = {
            frozenset(overrides) for overrides in expand(config.hydra.overrides.task, config.hydra.sweeper.ranges)
        }
    newest: dict[frozenset[str], Path] = {}
    for file in sorted(folder.rglob(".hydra/overrides.yaml"), key=lambda path: path.stat().st_mtime_ns):
        overrides = frozenset(overrides_of(file.parents[1]))
        if wanted is None or overrides in wanted:
            newest[overrides] = file.parents[1]
        else:
            log.warning("%s is of another sweep and left out", file.parents[1])
    return sorted(newest.values(), key=lambda path: (len(str(path)), str(path)))  # 10 after 9


def by_setting(jobs: Sequence[Path]) -> dict[str, list[Path]]:
    """The job folders of each setting that was swept beside the context, under a name for the setting's study.

    The name holds what settings differ in, and is empty where there is one. The order of overrides makes no setting.
    """
    groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for done in jobs:
        others = (item for item in overrides_of(done) if item.lstrip("+").partition("=")[0] != "context")
        groups[tuple(sorted(others))].append(done)
    shared = set.intersection(*map(set, groups)) if groups else set()
    studies: dict[str, list[Path]] = {}
    for overrides, own in groups.items():
        name = ",".join(UNSAFE.sub("-", item.lstrip("+")) for item in overrides if item not in shared)
        if len(name) > LONGEST or name in studies:
            number = f"-{own[0].name}"
            name = name[: LONGEST - len(number)] + number
        studies[name] = own
    return studies


def overrides_of(job: Path) -> list[str]:
    """Overrides of a job by the command line or the sweep."""
    return [str(item) for item in OmegaConf.load(job / ".hydra" / "overrides.yaml")]


def succeeds(jobs: list[Path], folder: Path) -> bool:
    """Make the study of some jobs; if it fails log why, since Hydra makes warnings of a callback's errors."""
    try:
        study_of(jobs, folder)
    except Exception as error:
        say = log.exception if TRACEBACK_WANTED or not isinstance(error, USER_ERRORS) else log.warning
        say("error: no study in %s: %s", folder, one_line(error))
        return False
    return True


def study_of(jobs: list[Path], folder: Path) -> None:
    """The study of finished jobs, of one count or several each, under the configuration of the first."""
    from gqn_probe.pipeline import open_inputs, study_run

    counts = [count.folder for done in jobs for count in study_run.plan_counts(config_of(done), done)]
    cfg = config_of(jobs[0])
    job.setup_job(cfg.seed)  # the jobs may have been run by other processes
    settings = job.instantiate(cfg.probe)
    study_run.finish_study(cfg, open_inputs.open_study_inputs(cfg, settings.objects), settings, counts, folder)


def config_of(job: Path) -> DictConfig:
    """Configuration of a job."""
    cfg = OmegaConf.load(job / ".hydra" / "config.yaml")
    assert isinstance(cfg, DictConfig)
    return cfg
