"""Hydra sweeper that expands ``context=2..15`` to fourteen jobs and continues after a failed job.

Hydra's own sweeper reads ``2..15`` as one string and stops at the first failure. This one expands ``a..b``,
``a..b..step`` (both ends included) and ``[2,5,9]`` for the keys in ``ranges``, launches every job, and then reports
which failed. It imports neither torch nor Lightning, because Hydra loads its plugins at every start.
"""

import itertools
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException, HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from gqn_probe.context_range import parse_counts

log = logging.getLogger(__name__)


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
        self.launcher = Plugins.instance().instantiate_launcher(  # pyright: ignore[reportIncompatibleVariableOverride]
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Launch every job; if some fail or are killed, run the callbacks for the others, then raise."""
        jobs = expand(arguments, self.ranges)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        self.validate_batch_is_legal(jobs)
        again = f"the same command with hydra.sweep.dir={folder} runs"
        try:
            results = self.launcher.launch(jobs, initial_job_idx=0)
        except HydraException:
            raise
        except Exception as error:  # raised when a process was killed; results of the others are lost with it
            reason = " ".join(str(error).splitlines()[:2]).strip() or type(error).__name__
            print(f"the launcher gave up: {reason}", file=sys.stderr)
            with suppress(SystemExit):  # where no study can be made, which ends as this does
                self.hydra_context.callbacks.on_multirun_end(config=self.config)
            raise CompactHydraException(f"the launcher lost jobs of the sweep; {again} what is missing") from error
        failed = [result for result in results if result.status is not JobStatus.COMPLETED]
        shared = set.intersection(*(set(job) for job in jobs)) if len(jobs) > 1 else set()
        for result in failed:
            own = [override for override in result.overrides or [] if override not in shared]
            print(f"job {' '.join(own)} failed: {failure(result)}", file=sys.stderr)
        if failed:
            if len(failed) < len(results):  # Hydra calls them only if this function does not raise
                self.hydra_context.callbacks.on_multirun_end(config=self.config)
            raise CompactHydraException(
                f"{len(failed)} of {len(results)} jobs of the sweep failed; {again} these alone"
            )
        return results


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


def failure(result: JobReturn) -> Any:
    """Return the exception of a failed job; ``return_value`` would raise it."""
    return result._return_value


ConfigStore.instance().store(group="hydra/sweeper", name="range", node=RangeSweeperConfig, provider="gqn-probe")
