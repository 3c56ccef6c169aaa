"""Weights & Biases runs: one for each job, grouped by sweep, online or offline, always finished."""

import contextlib
import logging
import os
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import wandb
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger, WandbLogger
from wandb.errors import CommError, UsageError
from wandb.errors import Error as WandbError

from gqn_probe.atomic_io import write_text
from gqn_probe.run.job import is_first_process, plain_config, root_folder
from gqn_probe.tracking.csv_logger import MetricsTable
from gqn_probe.tracking.wandb_server import ask_server, logged_in

LOG = logging.getLogger(__name__)
START_PATIENCE = 30  # seconds for W&B to take a run
END_PATIENCE = 30  # seconds at the end for what is still to be uploaded
GRACE = 5  # seconds beyond it, within which W&B's own process says that it has given up
RUN_ID = "wandb-id.txt"  # in the folder of a training run, which has one W&B run however often it goes on
Mode = Literal["online", "offline", "disabled"]
MODES: dict[str, Mode] = {"online": "online", "offline": "offline", "disabled": "disabled"}
MODES |= {"run": "online", "dryrun": "offline"}  # W&B's older names


@contextlib.contextmanager
def open_loggers(
    cfg: DictConfig,
    folder: Path,
    *,
    job_type: str,
    name: str | None = None,
    facts: Mapping[str, str] = MappingProxyType({}),
    first_step: int = 0,
) -> Iterator[list[Logger]]:
    """Yield the loggers of a job: a W&B run, which is always finished, and in training a CSV.

    The W&B run is online if the user is logged in and the server answers, else offline in ``folder/wandb`` or under
    ``WANDB_DIR``. Its configuration is that of the job and ``facts``. A training run that resumes at ``first_step``
    continues its CSV and its W&B run.
    """
    tables: list[Logger] = [MetricsTable(folder / "metrics.csv", first_step=first_step)] if job_type == "train" else []
    mode = wandb_mode(cfg.logger.mode) if cfg.logger.wandb and is_first_process() else "disabled"
    if mode == "disabled":
        yield tables
        return
    kept = Path(os.environ.get("WANDB_DIR") or folder)
    kept.mkdir(parents=True, exist_ok=True)
    told = folder / RUN_ID
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # its error reports would print to stderr when they fail
    logger = RunLogger(
        experiment=_start(
            mode,
            id=told.read_text(encoding="utf-8").strip() if first_step and told.is_file() else None,
            resume="allow" if first_step else None,  # also offline, or `wandb sync` overwrites the run's first part
            project=cfg.logger.project,
            entity=cfg.logger.entity,
            group=cfg.logger.group or "-".join(root_folder().parts[-2:]),  # date and time of a sweep
            job_type=job_type,
            name=name,
            dir=kept,
            tags=list(cfg.logger.tags),
            config=plain_config(cfg) | {f"{fact}_fingerprint": value for fact, value in facts.items()},
            reinit="finish_previous",  # Hydra runs the jobs of a sweep in one process
            settings=wandb.Settings(
                silent=True,
                console="off",
                init_timeout=START_PATIENCE,
                finish_timeout=END_PATIENCE,
                finish_timeout_raises=True,
            ),
        )
    )
    if job_type == "train":
        write_text(told, f"{logger.experiment.id}\n")
        logger.attempt(logger.experiment.define_metric, "trainer/global_step")
        logger.attempt(logger.experiment.define_metric, "*", step_metric="trainer/global_step", step_sync=True)
    code = 1
    try:
        yield [*tables, logger]
        code = 0
    finally:
        logger.finish(code)
        if job_type == "train":
            LOG.info("W&B: %s", run_address([logger]))


class RunLogger(WandbLogger):
    """W&B logger whose calls never raise; the first failure and a failing end are logged as warnings."""

    def __init__(self, *, experiment: wandb.Run) -> None:
        super().__init__(experiment=experiment)
        self._failed = self._unresponsive = False

    def attempt(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Make a call of W&B's client, and log a warning if it is the first to fail; none is made after a time-out."""
        if self._unresponsive:
            return
        try:
            call(*args, **kwargs)
        except Exception as error:  # of many kinds, where the client's own process has died
            if not self._failed:  # a client that has died raises a different error at every call
                LOG.warning("W&B cannot log this run any more: %s; the run continues without it", _one_line(error))
            self._failed = True
            self._unresponsive = isinstance(error, TimeoutError)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log at the training step, so that the rows of a resumed run follow the earlier ones."""
        self.attempt(self._log_row, dict(metrics), step)

    def _log_row(self, metrics: dict[str, Any], step: int | None) -> None:
        if step is None:
            self.experiment.log(metrics)
        else:  # W&B drops rows of steps before its last one
            row = metrics | {"trainer/global_step": step}
            self.experiment.log(row, step=max(step, self.experiment.step))

    def log_hyperparams(self, params: Any) -> None:
        self.attempt(super().log_hyperparams, params)

    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        self.attempt(super().log_image, key, images, step, **kwargs)

    def finalize(self, status: str) -> None:
        self.attempt(super().finalize, status)

    def finish(self, code: int) -> None:
        """End the run, waiting for uploads at most ``END_PATIENCE`` seconds, and ``GRACE`` for W&B's own process.

        Raises:
            KeyboardInterrupt: Ctrl-C while it waited; W&B's own process is then killed, too.
        """
        try:
            call_within(END_PATIENCE + GRACE, lambda: self.experiment.finish(exit_code=code))
        except (Exception, KeyboardInterrupt) as error:
            message = "W&B did not receive all of this run (%s); upload it with: %s"
            LOG.warning(message, _one_line(error), sync_command(self))
            if not isinstance(error, TimeoutError) or str(error) == OVERDUE:
                _end_client()
            if isinstance(error, KeyboardInterrupt):
                raise


OVERDUE = "its own process does not answer"


def call_within(seconds: float, call: Callable[[], object]) -> None:
    """Make a call of W&B's client that may wait for ever, in a thread which the time limit and Ctrl-C leave behind.

    Raises:
        TimeoutError: the call has not returned after ``seconds``.
        Exception: whatever the call raised.
    """
    returned: Future[None] = Future()

    def make_call() -> None:
        try:
            call()
        except Exception as error:
            returned.set_exception(error)
        else:
            returned.set_result(None)

    threading.Thread(target=make_call, name="call of W&B", daemon=True).start()
    try:
        returned.result(seconds)
    except TimeoutError:
        if returned.done():
            raise
        raise TimeoutError(OVERDUE) from None


def _end_client() -> None:
    """Kill W&B's own process, if it still runs, for the interpreter would wait for it at exit."""
    connection = getattr(wandb.setup(), "_connection", None)
    process = getattr(getattr(connection, "_proc", None), "_process", None)
    if process is not None:
        process.kill()
    with contextlib.suppress(Exception):  # without this, the client's hook at exit would print a traceback
        call_within(GRACE, wandb.teardown)


def _start(mode: Literal["online", "offline"], **settings: Any) -> wandb.Run:
    """Start a W&B run, offline if W&B does not answer.

    Raises:
        ValueError: the user is not logged in, or W&B refuses a setting.
    """
    try:
        if mode == "online":
            ask_server()
        return wandb.init(mode=mode, **settings)
    except UsageError as error:
        raise ValueError(f"W&B refuses a run with logger.mode={mode}: {error}") from error
    except (WandbError, OSError) as error:  # the server, or the client's own process
        if mode == "offline":
            raise ValueError(
                f"W&B cannot keep a run in {settings['dir']}: {_one_line(error)}; use logger.wandb=false"
            ) from error
        _keep_offline(error)
        return _start("offline", **settings)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _keep_offline(error: Exception) -> None:
    LOG.warning("W&B runs are kept offline: %s", _one_line(error))
    os.environ["WANDB_MODE"] = "offline"  # for later jobs of this process


def run_address(loggers: Sequence[Logger]) -> str:
    """Return the URL of the W&B run, or offline the command that uploads it; empty without a run."""
    if (logger := run_logger(loggers)) is None:
        return ""
    if logger.experiment.offline:
        return f"kept offline; upload with: {sync_command(logger)}"
    return logger.experiment.url or ""


def sync_command(logger: RunLogger) -> str:
    """Return the shell command that uploads the run and the others in its folder."""
    runs = Path(logger.experiment.dir).parents[1]
    return f"wandb sync {shlex.quote(str(runs))}/*run-*"


def wandb_mode(asked: str) -> Mode:
    """Return the mode of W&B; ``auto`` is ``WANDB_MODE`` if set, else online if the user is logged in."""
    if asked not in ("auto", "online", "offline"):
        raise ValueError(f"logger.mode={asked} is not one of auto, online, offline")
    if asked != "auto":
        return MODES[asked]
    if told := os.environ.get("WANDB_MODE"):
        if told not in MODES:
            raise ValueError(f"WANDB_MODE={told} is not one of {', '.join(MODES)}")
        return MODES[told]
    try:
        return "online" if logged_in() else "offline"
    except CommError as error:
        _keep_offline(error)
        return "offline"


class ArtifactSpec(NamedTuple):
    """Artifact that one run logs and another uses; those of one kind and name are one artifact on W&B."""

    kind: str  # model, features or study
    name: str
    path: Path  # a file, or a folder of files

    def artifact(self) -> wandb.Artifact:
        """Return the W&B artifact with the files; features are references, since they may take gigabytes."""
        artifact = wandb.Artifact(f"{self.kind}-{self.name}", type=self.kind)
        if self.path.is_file():  # named by its kind: the same weights may have other file names
            artifact.add_file(str(self.path), name=self.kind + self.path.suffix, policy="immutable")
        for path in sorted(self.path.glob("*.*")):
            if self.kind == "features":
                artifact.add_reference(path.resolve().as_uri(), name=path.name, checksum=False)
            else:
                artifact.add_file(str(path), policy="immutable")
        return artifact


def log_lineage(loggers: Sequence[Logger], *, makes: ArtifactSpec, uses: ArtifactSpec | None = None) -> None:
    """Log the artifacts that the run made and used; the latter only online, as W&B cannot record it offline."""
    if (logger := run_logger(loggers)) is None:
        return
    if uses is not None and not logger.experiment.offline:
        logger.attempt(call_within, END_PATIENCE, lambda: logger.experiment.use_artifact(uses.artifact()))
    logger.attempt(lambda: logger.experiment.log_artifact(makes.artifact()))


def run_logger(loggers: Sequence[Logger]) -> RunLogger | None:
    """Return the logger of the W&B run, or None."""
    return next((logger for logger in loggers if isinstance(logger, RunLogger)), None)
