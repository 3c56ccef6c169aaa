"""What every run needs around its recipe: one-line errors, seeds, provenance, device launches."""

import contextlib
import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hydra
import pytorch_lightning as L
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from yaml import YAMLError

from gqn_probe.files import write_text

STARTED: ContextVar[float] = ContextVar("STARTED")  # when the job began: one process may run those of a sweep
USER_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, ValueError, OSError, FloatingPointError)
# Processes for further devices inherit the variable that `launch` sets, and the first one speaks for all.
TRACEBACK_WANTED = os.environ.get("HYDRA_FULL_ERROR") == "1" and "LOCAL_RANK" not in os.environ
UNQUOTED_RANGE = re.compile(r"(context)=(range\(.*\))")


NOISE = (
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning under a newer torch
    r"Checkpoint directory .* exists and is not empty",  # it is that of the run that goes on
    r"The '\w+_dataloader' does not have many workers",  # reading a batch takes about a millisecond
    r"The number of training batches .* is smaller than the logging interval",
)


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


def guarded(recipe: Callable[[DictConfig], Any], cfg: DictConfig) -> Any:
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


def prepare(cfg: DictConfig) -> Path:
    """Make this process ready for a run; its output folder."""
    settle(cfg.seed)
    return output_folder()


def settle(seed: object) -> None:
    """Begin a job: note the time, seed everything, and silence what users cannot act on."""
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed={seed} must be a whole number, 0 or more")
    STARTED.set(time.time())
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)
    L.seed_everything(seed, workers=True, verbose=False)


def output_folder() -> Path:
    """The folder of this job, absolute, the same in every process of a multi-device run."""
    return Path(HydraConfig.get().runtime.output_dir)


def in_sweep() -> bool:
    """Whether this job is one of a multirun."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


def root_folder() -> Path:
    """The folder that all jobs of a sweep share; that of the run, outside a sweep."""
    return Path(HydraConfig.get().sweep.dir).resolve() if in_sweep() else output_folder()


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain containers, which checkpoints and JSON can hold."""
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


@rank_zero_only
def write_provenance(folder: Path, cfg: DictConfig, *, device: str | torch.device, **facts: Any) -> None:
    """``provenance.json``: what was run, on what, from which revision, with which versions, and for how long."""
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
        "config": plain(cfg),
    }
    write_text(folder / "provenance.json", json.dumps(record, indent=2, default=str))


def git_revision() -> str:
    """The commit of the source tree, marked ``+changes`` when files differ from it; ``unknown`` outside git."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+changes" if changed else "")


@contextlib.contextmanager
def as_single_run() -> Iterator[None]:
    """Make the processes that Lightning starts for further devices repeat this job alone.

    Lightning starts them with the parent's command line. Under ``-m`` that is the whole sweep, so each would run
    every job again; here they get the composed configuration and folder of the present job instead. Afterwards the
    environment is as before, so that the next job of a sweep starts processes of its own.
    """
    config: Any = HydraConfig.get()
    folder = config.runtime.output_dir
    argv, run_folder, environment = sys.argv, config.run.dir, dict(os.environ)
    composed = Path(folder) / ".hydra"
    with read_write(config), open_dict(config):
        config.run.dir = folder
    sys.argv = [argv[0], "--config-path", str(composed), "--config-name", "config"]
    try:
        yield
    except RuntimeError as error:
        if "Connection closed by peer" in str(error):
            raise ValueError("the process of another device failed; it says why itself") from error
        raise
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        with read_write(config), open_dict(config):
            config.run.dir = run_folder


def instantiate(node: DictConfig, **values: Any) -> Any:
    """Build the object that ``node._target_`` names, with plain containers for its arguments."""
    return hydra.utils.instantiate(node, _convert_="all", **values)
