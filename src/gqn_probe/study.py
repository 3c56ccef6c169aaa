"""The context-count study around its jobs: what all of them share, and what follows the last."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from omegaconf import DictConfig

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
