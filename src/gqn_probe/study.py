"""The context-count study around its jobs: what all of them share, and what follows the last."""

import atexit
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from gqn_probe import run, tracking
from gqn_probe.analysis.material import Material
from gqn_probe.analysis.settings import StudySettings
from gqn_probe.analysis.streamed import StreamedScenes
from gqn_probe.analysis.study import run_study
from gqn_probe.counts import parse_counts
from gqn_probe.model import load_gqn, weights_path
from gqn_probe.progress import progress
from gqn_probe.report.figures import draw_figures
from gqn_probe.report.page import build_report
from gqn_probe.report.terminal import print_results
from gqn_probe.tracking import Product
from hydra_plugins.gqn_probe_range.range_sweeper import expand

LARGEST_COUNT = 15  # of the study


class Job(NamedTuple):
    """One count, and where its results go."""

    count: int
    folder: Path


def open_material(cfg: DictConfig, settings: StudySettings, jobs: Sequence[Job] = ()) -> Material:
    """The network, and scenes of a split that it was not trained on; the same for every job of a sweep.

    ValueError, before any work, where the scenes have too few views for one of ``jobs``.
    """
    gqn = load_gqn(cfg.checkpoint, steps=cfg.generator_steps)
    data = run.instantiate(cfg.data)
    split = data.split(cfg.split)
    scenes = StreamedScenes(split.stored, split.rows[: settings.objects])
    material = Material(
        gqn=gqn,
        scenes=scenes,
        encode_cameras=data.encode,
        fingerprint=data.fingerprint(cfg.split),
        cache=Path(cfg.cache),
        # One view is kept for the query; but 15 views a scene, as published, still make a count of 15.
        usable_views=min(scenes.views, max(scenes.views - 1, LARGEST_COUNT)),
        device=("cuda" if torch.cuda.is_available() else "cpu") if cfg.device == "auto" else cfg.device,
    )
    for job in jobs:
        material.check(job.count)
    return material


def plan_jobs(cfg: DictConfig, folder: Path) -> list[Job]:
    """A folder for each count of ``context``; ValueError where it names none."""
    counts = parse_counts(cfg.context)
    if run.in_sweep() and len(counts) == 1:
        return [Job(counts[0], folder)]
    return [Job(count, folder / f"count-{count:02d}") for count in counts]


def in_turn(jobs: Sequence[Job]) -> Iterator[Job]:
    """The jobs of one process, behind a bar where there are several; those of a sweep have one already."""
    if len(jobs) == 1:
        yield from jobs
        return
    with progress("counts", len(jobs), "counts") as advance:
        for job in jobs:
            yield job
            advance(1)


def weights(cfg: DictConfig, material: Material) -> Product:
    """What the jobs of a study start from."""
    return Product("model", material.fingerprints["checkpoint"], weights_path(cfg.checkpoint))


def features(material: Material) -> Product:
    """What the jobs of a study share, and the study is made of."""
    return Product("features", material.features_folder.name, material.features_folder)


def finish(cfg: DictConfig, material: Material, settings: StudySettings, jobs: list[Path], folder: Path) -> None:
    """From the jobs' folders to ``folder/study``: results, figures, report, W&B run; a table in the terminal."""
    home = folder / "study"
    facts = material.fingerprints
    with tracking.loggers(cfg, folder, job_type="study", name="study", facts=facts) as loggers:
        run_study(material, settings, jobs, home)
        run.write_provenance(home, cfg, **facts)
        draw_figures(folder)
        build_report(folder)
        tracking.log_study(loggers, folder)
        made = Product("study", "-".join(folder.parts[-2:]), home)
        tracking.log_lineage(loggers, uses=features(material), makes=made)
        where = tracking.address(loggers)
    print_results(folder, wandb=where)


def rebuild(folder: str) -> None:
    """Figures and report of a finished study, made again from its result files."""
    draw_figures(folder)
    print(f"report: {build_report(folder)}")


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
    finish(cfg, open_material(cfg, settings), settings, jobs, folder)
