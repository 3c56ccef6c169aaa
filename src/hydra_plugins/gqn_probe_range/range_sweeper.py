"""Hydra sweeper that expands ``context=2..15`` to fourteen jobs and continues after a failed job.

Hydra's own sweeper reads ``2..15`` as one string and stops at the first failure. This one expands ``a..b``,
``a..b..step`` (both ends included) and ``[2,5,9]`` for the keys in ``ranges``, launches every job, and then reports
which failed. A mistake that all jobs share ends it. It imports neither torch nor Lightning, because Hydra loads its
plugins at every start.
"""

import itertools
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException, HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from gqn_probe.context_range import parse_counts


@dataclass
class RangeSweeperConfig:
    """Structured config of ``hydra/sweeper: range``."""

    _target_: str = "hydra_plugins.gqn_probe_range.range_sweeper.RangeSweeper"
    ranges: list[str] = field(default_factory=lambda: ["context"])


class RangeSweeper(Sweeper):
    """Sweeper over the Cartesian product of all values; ``ranges`` are the keys whose values may be ``a..b``."""

    config: DictConfig
    hydra_context: HydraContext
    launcher: Launcher

    def __init__(self, ranges: Sequence[str]) -> None:
        self.ranges = tuple(ranges)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config  # pyright: ignore[reportIncompatibleVariableOverride]
        self.hydra_context = hydra_context  # pyright: ignore[reportIncompatibleVariableOverride]
        self.task = Task(task_function)
        self.launcher = Plugins.instance().instantiate_launcher(  # pyright: ignore[reportIncompatibleVariableOverride]
            hydra_context=hydra_context, task_function=self.task, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Launch every job; if some fail or are killed, run the callbacks for the others, then raise."""
        jobs = expand(arguments, self.ranges)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        # Composing takes a tenth of a second a job: jobs that differ in a count alone are as legal as each other.
        in_ranges = tuple(f"{key}=" for key in self.ranges)
        differing = {tuple(item for item in job if not item.lstrip("+").startswith(in_ranges)): job for job in jobs}
        self.validate_batch_is_legal(list(differing.values()))
        self.task.shared = set.intersection(*map(set, jobs))
        again = f"the same command with hydra.sweep.dir={folder} runs"
        try:
            results = self.launcher.launch(jobs, initial_job_idx=0)
        except HydraException:
            raise
        except KeyboardInterrupt as interrupt:  # between two jobs; within one, the job tells how to continue
            raise interrupt if str(interrupt) else type(interrupt)(f"interrupted; {again} what is missing") from None
        except Exception as error:  # raised when a process was killed; results of the others are lost with it
            reason = " ".join(str(error).splitlines()[:2]).strip() or type(error).__name__
            print(f"the launcher gave up: {reason}", file=sys.stderr)
            with suppress(SystemExit):  # where no study can be made, which ends as this does
                self.hydra_context.callbacks.on_multirun_end(config=self.config)
            raise CompactHydraException(f"the launcher lost jobs of the sweep; {again} what is missing") from error
        failed = [result for result in results if result.status is not JobStatus.COMPLETED]
        jobs_by_cause: dict[str, list[str]] = defaultdict(list)
        for result in failed:
            own = [override for override in result.overrides or [] if override not in self.task.shared]
            cause = str(result._return_value)  # the exception, which ``return_value`` would raise
            jobs_by_cause[cause].append(" ".join(own))
        if len(failed) == len(results) and len(jobs_by_cause) == 1:
            raise CompactHydraException(*jobs_by_cause)
        for cause, names in jobs_by_cause.items():
            print(f"job {', '.join(names)} failed: {cause}", file=sys.stderr)
        if failed:
            if len(failed) < len(results):  # Hydra calls them only if this function does not raise
                self.hydra_context.callbacks.on_multirun_end(config=self.config)
            raise CompactHydraException(
                f"{len(failed)} of {len(results)} jobs of the sweep failed; {again} these alone"
            )
        return results


class Task:
    """Task function of a sweep, which ends the sweep once it is clear that a mistake does not depend on the job.

    That is when all jobs of this process failed with one message, and have nothing in common but what all jobs share.
    A launcher that starts a process for each job runs every job.
    """

    shared: set[str]  # overrides of every job

    def __init__(self, run: TaskFunction) -> None:
        self.run = run
        self.outcomes: set[str] = set()
        self.common: set[str] = set()

    def __call__(self, cfg: DictConfig) -> Any:
        overrides = set(HydraConfig.get().overrides.task)
        self.common = self.common & overrides if self.outcomes else overrides
        try:
            result = self.run(cfg)
        except Exception as error:
            self.outcomes.add(str(error))
            if self.outcomes == {str(error)} and self.common == self.shared:
                raise SystemExit(f"error: {error}") from error
            raise
        self.outcomes.add("")
        return result


def expand(arguments: Sequence[str], ranges: Sequence[str]) -> list[list[str]]:
    """Return the overrides of every job in order; the last argument varies fastest."""
    choices: dict[str, list[str]] = {}
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        key = override.get_key_element()
        sweep = override.is_discrete_sweep()
        values = list(override.sweep_string_iterator()) if sweep else [override.get_value_element_as_str()]
        if override.is_sweep_override() and not sweep:
            raise CompactHydraException(
                f"{override.input_line}: the range sweeper takes a..b, a,b,c and range(a,b); "
                "for other sweeps choose another sweeper with hydra/sweeper=NAME"
            )
        if override.key_or_group in ranges:
            values = counts_of(key, values)
        choices[key] = [f"{key}={value}" for value in values]
    return [list(job) for job in itertools.product(*choices.values())]


def counts_of(key: str, values: Sequence[str]) -> list[int]:
    """Return the counts of all values, each of which may be a range or a list."""
    try:
        return parse_counts([count for value in values for count in parse_counts(value)])
    except ValueError as error:
        raise CompactHydraException(f"{key}={','.join(values)}: {error}") from None


ConfigStore.instance().store(group="hydra/sweeper", name="range", node=RangeSweeperConfig, provider="gqn-probe")
