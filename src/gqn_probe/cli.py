"""Command lines of the scripts: a user's mistake becomes one line on stderr, not a traceback."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.errors import ConfigCompositionException, HydraException, InstantiationException
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from gqn_probe.job import in_sweep

USER_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, ValueError, OSError, FloatingPointError)
# Processes for further devices inherit the variable that `launch` sets, and the first one speaks for all.
TRACEBACK_WANTED = os.environ.get("HYDRA_FULL_ERROR") == "1" and "LOCAL_RANK" not in os.environ
UNQUOTED_RANGE = re.compile(r"(context)=(range\(.*\))")


def launch(main: Callable[[], Any], rewrite: Callable[[list[str]], list[str]] = list) -> None:
    """Run a ``hydra.main`` function; a user's mistake becomes one line on stderr and exit status 1.

    With ``HYDRA_FULL_ERROR=1`` in the environment the full traceback is shown instead. ``rewrite`` may change the
    command line before Hydra reads it.
    """
    if not {"-m", "--multirun"} & set(sys.argv):  # Hydra would take an unquoted range(a,b) for a sweep
        sys.argv[1:] = [UNQUOTED_RANGE.sub(r"\1='\2'", argument) for argument in sys.argv[1:]]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra raises what went wrong instead of printing it
    try:
        sys.argv[1:] = rewrite(sys.argv[1:])
        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except USER_ERRORS as error:
        if TRACEBACK_WANTED:
            raise
        sys.exit(f"error: {one_line(error)}")


def report_user_errors(recipe: Callable[[DictConfig], Any], cfg: DictConfig) -> Any:
    """Run a recipe as a Hydra job; the user's mistakes end a single run at once, without Hydra's own report.

    In a sweep they are raised, in one line, for the sweeper to name the job that failed and to go on.
    """
    try:
        return recipe(cfg)
    except USER_ERRORS as error:
        if TRACEBACK_WANTED:
            raise
        if in_sweep():
            raise ValueError(one_line(error)) from error
        sys.exit(f"error: {one_line(error)}")


def one_line(error: BaseException) -> str:
    """The message a user needs: that of the innermost cause Hydra wrapped, without its advice on tracebacks."""
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split()).partition(" Config search path:")[0]
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; hydra.run.dir=, hydra.sweep.dir= and cache= choose other folders"
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is missing: add {error.full_key}=..."
    if isinstance(error, ConfigCompositionException) and (key := re.search(r"Could not override '([^']*)'", text)):
        experiment = next((given for given in sys.argv if given.lstrip("+").startswith("experiment=")), None)
        if experiment and not any(given.lstrip("+").startswith(key[1]) for given in sys.argv[1:]):
            other = "train.py" if Path(sys.argv[0]).name == "probe.py" else "probe.py"
            return f"{experiment} sets {key[1]!r}, which {Path(sys.argv[0]).name} does not have: it is for {other}"
        return f"there is no setting {key[1]!r}; `python {Path(sys.argv[0]).name} --cfg job` lists them all"
    return text
