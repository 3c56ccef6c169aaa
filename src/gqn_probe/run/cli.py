"""How a script starts and ends: Hydra's main function, interrupts, and one line for a user's error."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gqn_probe.run.cli_errors import USER_ERRORS, check_value_types, one_line
from gqn_probe.run.devices import ErrorLog
from gqn_probe.run.help_text import help_text
from gqn_probe.run.hydra_arguments import hydra_arguments
from gqn_probe.run.job import in_sweep, is_first_process, output_folder

# Processes of further devices inherit the variable that `launch` sets.
TRACEBACK_WANTED = os.environ.get("HYDRA_FULL_ERROR") == "1" and "LOCAL_RANK" not in os.environ


class Terminated(KeyboardInterrupt):
    """SIGTERM, on which a script ends as on Ctrl-C, so that W&B's run and the terminal are left in order."""


def launch(main: Callable[[], Any], rewrite: Callable[[list[str]], list[str]] = list) -> None:
    """Run a ``hydra.main`` function; report a user's error as one line on stderr, with exit status 1.

    Ctrl-C and SIGTERM end it with one line and status 128 + signal. ``HYDRA_FULL_ERROR=1`` in the environment shows
    the traceback of an error. ``rewrite`` maps the command line before Hydra reads it.
    """
    if {"-h", "--help"} & set(sys.argv):
        print(help_text(Path(sys.argv[0])))
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors instead of printing them
    signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.argv[1:] = hydra_arguments(rewrite(sys.argv[1:]))
        main()
    except (KeyboardInterrupt, SystemExit) as ended:
        interrupt = ended.__context__ if isinstance(ended, SystemExit) else ended  # Lightning makes an exit of it
        if not isinstance(interrupt, KeyboardInterrupt):
            raise
        print(str(interrupt) or "interrupted", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT))
    except USER_ERRORS as error:
        if TRACEBACK_WANTED:
            raise
        sys.exit(f"error: {one_line(error)}")


def _terminate(number: int, frame: object) -> None:
    raise Terminated


def report_user_errors(recipe: Callable[[DictConfig], Any], cfg: DictConfig) -> Any:
    """Run a recipe as a Hydra job, and exit with one line on a user's error.

    In a sweep the error is raised, in one line, for the sweeper to report the job and continue with the others. Of the
    processes of several devices, the first that fails reports the error.
    """
    errors = ErrorLog(output_folder() / f"{Path(sys.argv[0]).stem}.log")  # Hydra's, of the first process
    try:
        check_value_types(cfg)
        return recipe(cfg)
    except KeyboardInterrupt as interrupt:
        hydra = HydraConfig.get()
        if not in_sweep() and cfg.name != "probe":  # whose finished counts are kept
            raise
        folder = f"hydra.sweep.dir={hydra.sweep.dir}" if in_sweep() else f"hydra.run.dir={hydra.run.dir}"
        raise type(interrupt)(f"interrupted; to continue: the same command with {folder}") from None
    except Exception as error:
        line, users = one_line(error), isinstance(error, USER_ERRORS) and not TRACEBACK_WANTED
        if in_sweep() and users:
            raise ValueError(line) from error
        if not in_sweep() and not errors.add(line):
            # After an error's status in another process, Lightning kills a first one that still ends its W&B run.
            sys.exit(1 if is_first_process() else 0)
        if users:
            sys.exit(f"error: {line}")
        raise
