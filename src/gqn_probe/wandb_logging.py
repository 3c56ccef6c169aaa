"""Weights & Biases: one run a job, grouped by sweep, online or offline, finished whatever happens."""

import contextlib
import csv
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import wandb
from einops import rearrange
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from wandb.errors import CommError, UsageError
from wandb.errors import Error as WandbError

from gqn_probe.job import plain_config, root_folder
from gqn_probe.model import load_gqn, weights_fingerprint
from gqn_probe.report.figure_registry import Drawing
from gqn_probe.resume import FROM_START, ResumePoint
from gqn_probe.study_results import Study
from gqn_probe.training.csv_logger import MetricsTable
from gqn_probe.wandb_status import ask_server, logged_in

Mode = Literal["online", "offline", "disabled"]
MODES: dict[str, Mode] = {"online": "online", "offline": "offline", "disabled": "disabled"}
MODES |= {"run": "online", "dryrun": "offline"}  # W&B's older words


@contextlib.contextmanager
def loggers(
    cfg: DictConfig,
    folder: Path,
    *,
    job_type: str,
    name: str | None = None,
    facts: Mapping[str, str] = MappingProxyType({}),
    past: ResumePoint = FROM_START,
) -> Iterator[list[Logger]]:
    """A W&B run, which is finished whatever happens, with the exit code that tells how it went; in training a CSV too.

    W&B is online when the user is logged in and it answers, else offline in ``folder/wandb``. The run's configuration
    is that of the job, and ``facts``. A training run with a ``past`` goes on in both.
    """
    tables: list[Logger] = [MetricsTable(folder / "metrics.csv", first_step=past.step)] if job_type == "train" else []
    mode = wandb_mode(cfg.logger.mode) if cfg.logger.wandb and rank_zero_only.rank == 0 else "disabled"
    if mode == "disabled":
        yield tables
        return
    folder.mkdir(parents=True, exist_ok=True)
    wandb_run = _start(
        mode,
        id=previous_id(folder) if past.step else None,
        resume="allow" if past.step and mode == "online" else None,
        project=cfg.logger.project,
        entity=cfg.logger.entity,
        group=cfg.logger.group or sweep_group(),
        job_type=job_type,
        name=name,
        dir=folder,
        tags=list(cfg.logger.tags),
        config=plain_config(cfg) | {f"{fact}_fingerprint": value for fact, value in facts.items()},
        reinit="finish_previous",  # Hydra runs the jobs of a sweep in one process
        settings=wandb.Settings(silent=True, console="off"),
    )
    if job_type == "train":
        wandb_run.define_metric("trainer/global_step")
        wandb_run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    given = [*tables, WandbLogger(experiment=wandb_run)]
    code = 1
    try:
        yield given
        code = 0
    finally:
        wandb_run.finish(exit_code=code)
        if job_type == "train":
            print(f"W&B: {address(given)}")


def _start(mode: Literal["online", "offline"], **settings: Any) -> wandb.Run:
    """A W&B run; one that was to be online is kept offline when W&B does not answer.

    Raises:
        ValueError: the user is not logged in, or W&B refuses a setting.
    """
    try:
        if mode == "online":
            ask_server()
        return wandb.init(mode=mode, **settings)
    except (CommError, ConnectionError) as error:
        _keep_offline(error)
        return wandb.init(mode="offline", **settings | {"resume": None})
    except UsageError as error:
        raise ValueError(f"W&B refuses a run with logger.mode={mode}: {error}") from error


def _keep_offline(error: Exception) -> None:
    print(f"W&B runs are kept offline: {' '.join(str(error).split())}", file=sys.stderr)
    os.environ["WANDB_MODE"] = "offline"  # for later jobs, that each need not find out for itself


def address(loggers: list[Logger]) -> str:
    """Where to find the W&B run: its page, or the command that uploads it and those beside it; empty without one."""
    if (logger := _wandb_logger(loggers)) is None:
        return ""
    wandb_run = logger.experiment
    if wandb_run.offline:
        return f"kept offline; upload with: wandb sync {Path(wandb_run.dir).parents[1]}/offline-run-*"
    return wandb_run.url or ""


def wandb_mode(asked: str) -> Mode:
    """``auto`` is what ``WANDB_MODE`` says; without it, online when the user is logged in."""
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


def previous_id(folder: Path) -> str | None:
    """The id of the W&B run kept in ``folder``, if there is one: its folder's name ends in it."""
    names = sorted(path.name for path in folder.glob("wandb/*run-*-*"))
    return names[-1].rpartition("-")[2] if names else None


def sweep_group() -> str:
    """The name that the jobs of one sweep share, and a single run has for itself."""
    return "-".join(root_folder().parts[-2:])


def log_count(loggers: list[Logger], folder: Path) -> None:
    """One count's errors against ``context``, and its images as a table that can be filtered."""
    if (logger := _wandb_logger(loggers)) is None:
        return
    count = json.loads((folder / "job.json").read_text())["count"]
    errors: dict[str, list[float]] = defaultdict(list)
    with (folder / "reconstruction.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            errors[row["metric"]].append(float(row["value"]))
    means = {name: float(np.mean(values)) for name, values in errors.items()}
    roots = {_error_name(name): 255 * mean**0.5 for name, mean in means.items() if name.endswith("mse")}
    logger.experiment.define_metric("context")
    logger.experiment.define_metric("*", step_metric="context")
    logger.experiment.log({"context": count, "kl": means["kl"], **roots, "reconstructions": _pictures(folder, count)})


def _error_name(metric: str) -> str:
    """``sample_mse`` reads ``sample/rmse``; plain ``mse`` is that of the posterior's reconstruction."""
    return f"{metric.removesuffix('mse').removesuffix('_') or 'reconstruction'}/rmse"


def _pictures(folder: Path, count: int) -> wandb.Table:
    """One row a scene shown: its context side by side, truth, reconstruction, prior sample, error of the sample."""
    with np.load(folder / "reconstructions.npz") as arrays:
        shown = {name: arrays[name] for name in ("context", "truth", "reconstruction", "sample")}
    shown["context"] = rearrange(shown["context"], "n v h w c -> n h (v w) c")
    shown["error"] = np.abs(shown["sample"].astype(int) - shown["truth"]).astype(np.uint8)
    rows = [
        [scene, count, *(wandb.Image(image) for image in images)]
        for scene, images in enumerate(zip(*shown.values(), strict=True))
    ]
    return wandb.Table(columns=["scene", "count", *shown], data=rows)


def log_study(loggers: list[Logger], study: Study, drawings: Sequence[Drawing] = ()) -> None:
    """The study's series against ``context``, its headline as the summary, confusion matrix, figures and files."""
    if (logger := _wandb_logger(loggers)) is None:
        return
    wandb_run = logger.experiment
    wandb_run.define_metric("context")
    for name in ("accuracy/*", "reconstruction/*", "decodability/*"):
        wandb_run.define_metric(name, step_metric="context")
    series = {
        "accuracy/headline": study.series("accuracy", probe=study.probe),
        "accuracy/norm": study.series("accuracy", control="norm", probe=study.probe),
        "reconstruction/rmse": study.reconstruction_series(),
        **{f"decodability/{name}": rows for name, _, rows in study.decodability_series()},
    }
    for count in sorted({row.count for rows in series.values() for row in rows if row.count is not None}):
        values = {name: row.value for name, rows in series.items() for row in rows if row.count == count}
        wandb_run.log({"context": count, **values})
    for name, value in study.summary["headline"].items():
        wandb_run.summary[f"headline/{name}"] = value
    wandb_run.summary["answer"] = study.summary.get("answer", "")
    cells = [list(cell) for cell in study.headline_confusion]
    wandb_run.log({"confusion": wandb.Table(columns=["true", "predicted", "n"], data=cells)})
    wandb_run.log({f"figures/{d.name}": wandb.Image(str(d.png), caption=d.caption) for d in drawings})


class ArtifactSpec(NamedTuple):
    """What one run makes and another uses; what has the same kind and name is one artifact on W&B."""

    kind: str  # model, features or study
    name: str
    path: Path  # a file, or a folder of files

    def artifact(self) -> wandb.Artifact:
        """Its files, but for features, which are referred to where they are: there may be gigabytes."""
        artifact = wandb.Artifact(f"{self.kind}-{self.name}", type=self.kind)
        if self.path.is_file():  # named by its kind, for the same weights have many file names
            artifact.add_file(str(self.path), name=self.kind + self.path.suffix, policy="immutable")
        for path in sorted(self.path.glob("*.*")):
            if self.kind == "features":
                artifact.add_reference(path.resolve().as_uri(), name=path.name, checksum=False)
            else:
                artifact.add_file(str(path), policy="immutable")
        return artifact


def log_weights(loggers: list[Logger], path: Path) -> None:
    """The weights that training exported."""
    if _wandb_logger(loggers) is not None:
        log_lineage(loggers, makes=ArtifactSpec("model", weights_fingerprint(load_gqn(path)), path))


def log_lineage(loggers: list[Logger], *, makes: ArtifactSpec, uses: ArtifactSpec | None = None) -> None:
    """What the run made, and from what; the latter only online, for W&B has no way to note it offline."""
    if (logger := _wandb_logger(loggers)) is None:
        return
    if uses is not None and not logger.experiment.offline:
        try:
            logger.experiment.use_artifact(uses.artifact())
        except (WandbError, ValueError) as error:  # the server refused it; the results are none the worse
            print(f"W&B has no record of what this run used: {error}", file=sys.stderr)
    logger.experiment.log_artifact(makes.artifact())


def _wandb_logger(loggers: list[Logger]) -> WandbLogger | None:
    return next((logger for logger in loggers if isinstance(logger, WandbLogger)), None)
