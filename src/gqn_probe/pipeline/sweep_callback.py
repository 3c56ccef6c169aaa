"""Hydra callback of a sweep of ``probe.py``: progress over its jobs, and their study after the last."""

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
LONGEST = 80  # characters of a folder's name, which is part of names on W&B of at most 128
UNSAFE = re.compile(r"[^A-Za-z0-9._=,-]+")  # characters that would need quotes in a shell


class StudyAfterSweep(Callback):
    """Runs one study for each setting swept beside the context, after the last job of ``python probe.py -m``."""

    def __init__(self) -> None:
        self.bar = ExitStack()
        self.advance: Callable[[int], None] = lambda done: None

    def __reduce__(self) -> tuple:
        return StudyAfterSweep, ()  # launchers pickle callbacks for their processes; the bar stays in this one

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if "ranges" not in config.hydra.sweeper:  # another sweeper, whose number of jobs may be unknown
            return
        try:
            jobs = len(expand(config.hydra.overrides.task, config.hydra.sweeper.ranges))
        except HydraException:  # the sweeper reports it
            return
        self.advance = self.bar.enter_context(progress("jobs of the sweep", jobs, "jobs"))
        atexit.register(self.bar.close)  # on_multirun_end is not called if every job fails

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        self.advance(1)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        self.bar.close()
        folder = Path(config.hydra.sweep.dir).resolve()
        with read_write(config), open_dict(config):  # Hydra unset these after the last job
            config.hydra.runtime.output_dir = str(folder)
        HydraConfig.instance().set_config(config)
        configure_log(config.hydra.job_logging, config.hydra.verbose)
        jobs = jobs_of(config, folder)
        if not jobs:
            sys.exit(f"error: no job left its configuration below {folder}; keep hydra.output_subdir=.hydra")
        studies = by_setting(
            [each for each in jobs if config_of(each).get("analysis") is None]
        )  # analyses are complete already
        failed = [name for name, jobs in studies.items() if not try_study(jobs, folder / name)]
        if len(studies) > len(failed) + 1:
            from gqn_probe.pipeline.study_run import finish_sweep

            finish_sweep(config_of(next(iter(studies.values()))[0]), folder)
        if failed:
            sys.exit(1)


def jobs_of(config: DictConfig, folder: Path) -> list[Path]:
    """Return the folders of this sweep's jobs below ``folder`` in order, without those of an earlier sweep."""
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
            log.warning("%s belongs to another sweep and is left out", file.parents[1])
    missing = {overrides for overrides in wanted or () if overrides not in newest}
    shared = frozenset.intersection(*wanted) if wanted and len(wanted) > 1 else frozenset()
    for overrides in sorted(missing, key=sorted):
        log.warning("the job %s did not begin", " ".join(sorted(overrides - shared)))
    return sorted(newest.values(), key=lambda path: (len(str(path)), str(path)))  # 10 after 9


def by_setting(jobs: Sequence[Path]) -> dict[str, list[Path]]:
    """Group job folders by the settings swept beside the context, whatever the order of overrides.

    Returns:
        Job folders by name of the study: the overrides in which settings differ; empty if there is one setting.
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
    """Return the overrides of a job by command line or sweep."""
    return [str(item) for item in OmegaConf.load(job / ".hydra" / "overrides.yaml")]


def try_study(jobs: list[Path], folder: Path) -> bool:
    """Run the study of some jobs; log an error, which Hydra would turn into a warning, and return False."""
    try:
        run_study_of(jobs, folder)
    except Exception as error:
        say = log.exception if TRACEBACK_WANTED or not isinstance(error, USER_ERRORS) else log.warning
        say("error: no study in %s: %s", folder, one_line(error))
        return False
    return True


def run_study_of(jobs: list[Path], folder: Path) -> None:
    """Run the study of finished jobs, of one count or several each, with the configuration of the first."""
    from gqn_probe.pipeline import open_inputs, study_run

    counts = [count.folder for done in jobs for count in study_run.plan_counts(config_of(done), done)]
    cfg = config_of(jobs[0])
    job.setup_job(cfg.seed)  # the jobs may have run in other processes
    settings = job.instantiate(cfg.probe)
    study_run.finish_study(cfg, open_inputs.open_study_inputs(cfg, settings.objects), settings, counts, folder)


def config_of(job: Path) -> DictConfig:
    """Return the configuration of a job."""
    cfg = OmegaConf.load(job / ".hydra" / "config.yaml")
    assert isinstance(cfg, DictConfig)
    return cfg
