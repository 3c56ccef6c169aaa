"""The context-count study around its jobs: what all of them share, and what follows the last."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from omegaconf import DictConfig

from gqn_probe import run, wandb_logging
from gqn_probe.analysis.inputs.streamed import StreamedScenes
from gqn_probe.analysis.inputs.study_inputs import Material
from gqn_probe.analysis.protocols.study import run_study
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.counts import parse_counts
from gqn_probe.data.datamodule import SPLITS
from gqn_probe.model import InputSpec, load_gqn, weights_path
from gqn_probe.progress import progress
from gqn_probe.report.figure_registry import draw_figures
from gqn_probe.report.page import build_report
from gqn_probe.report.terminal import print_results
from gqn_probe.wandb_logging import ArtifactSpec

LARGEST_COUNT = 15  # of the study


class Job(NamedTuple):
    """One count, and where its results go."""

    count: int
    folder: Path


def open_material(cfg: DictConfig, settings: StudySettings, jobs: Sequence[Job] = ()) -> Material:
    """The network, and scenes of a split that it was not trained on; the same for every job of a sweep.

    ValueError, before any work, where the scenes have too few views for one of ``jobs``, or are not such as the
    network was trained on.
    """
    device = choose_device(cfg.device)
    gqn = load_gqn(cfg.checkpoint, steps=cfg.generator_steps)
    data = run.instantiate(cfg.data)
    split = data.split(cfg.split)
    scenes = StreamedScenes(split.stored, split.rows[: settings.objects])
    height, width = scenes[:1].frames.shape[-2:]
    gqn.input_spec.check(InputSpec((height, width), data.camera_order))
    material = Material(
        gqn=gqn,
        scenes=scenes,
        encode_cameras=data.encode,
        fingerprint=data.fingerprint(cfg.split),
        cache=Path(cfg.cache),
        # One view is kept for the query; but 15 views a scene, as published, still make a count of 15.
        usable_views=min(scenes.views, max(scenes.views - 1, LARGEST_COUNT)),
        device=device,
    )
    for job in jobs:
        material.check(job.count)
    return material


def choose_device(asked: object) -> str:
    """The first GPU for ``auto``, if there is one; ValueError for what is not a device, or not there."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return "cuda" if gpus else "cpu"
    known = re.fullmatch(r"cpu|cuda(?::(\d+))?", str(asked))
    if not known:
        raise ValueError(f"device={asked} is not known: use auto, cpu, cuda or cuda:N")
    if known[0] != "cpu" and int(known[1] or 0) >= gpus:
        raise ValueError(f"device={asked} is not there: PyTorch finds {gpus} GPUs; use device=auto or device=cpu")
    return known[0]


def plan_jobs(cfg: DictConfig, folder: Path) -> list[Job]:
    """A folder for each count of ``context``.

    Raises:
        ValueError: before any work, where context, split, checkpoint or cache cannot be meant.
    """
    if cfg.split not in SPLITS:
        raise ValueError(f"split={cfg.split} is not known: use {' or '.join(SPLITS)}")
    for name, remedy in (
        ("checkpoint", "a file, or pretrained"),
        ("cache", "a folder, such as outputs/cache/features"),
    ):
        if not isinstance(cfg[name], str):
            raise ValueError(f"{name}={cfg[name] or 'null'} is not a path: name {remedy}")
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


def weights(cfg: DictConfig, material: Material) -> ArtifactSpec:
    """What the jobs of a study start from."""
    return ArtifactSpec("model", material.fingerprints["checkpoint"], weights_path(cfg.checkpoint))


def features(material: Material) -> ArtifactSpec:
    """What the jobs of a study share, and the study is made of."""
    return ArtifactSpec("features", material.features_folder.name, material.features_folder)


def finish(cfg: DictConfig, material: Material, settings: StudySettings, jobs: list[Path], folder: Path) -> None:
    """From the jobs' folders to ``folder/study``: results, figures, report, W&B run; a table in the terminal."""
    home = folder / "study"
    facts = material.fingerprints
    root = run.root_folder()
    name = "study" if folder == root else f"study {folder.name}"  # one of several in a sweep
    with wandb_logging.loggers(cfg, folder, job_type="study", name=name, facts=facts) as loggers:
        run_study(material, settings, jobs, home)
        run.write_provenance(home, cfg, device=material.device, **facts)
        draw_figures(folder)
        build_report(folder)
        wandb_logging.log_study(loggers, folder)
        made = ArtifactSpec("study", artifact_name(root, folder), home)
        wandb_logging.log_lineage(loggers, uses=features(material), makes=made)
        where = wandb_logging.address(loggers)
    if len(material.scenes) < settings.objects:
        more = f"; data.{cfg.split}={settings.objects} gives as many" if cfg.split in cfg.data else ""
        there = f"split={cfg.split} has {len(material.scenes)} scenes, which were all studied{more}"
        print(f"note: probe.objects={settings.objects}, but {there}", file=sys.stderr)
    print_results(folder, wandb=where)


def artifact_name(root: Path, folder: Path) -> str:
    """Of a study in a run's folder, or in one below it, in the characters that W&B allows."""
    parts = (*root.parts[-2:], *folder.relative_to(root).parts)
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(parts))


def rebuild(folder: str | Path) -> None:
    """Figures and report of a finished study, or of each of a sweep's, made again from result files."""
    of_settings = sorted(results.parents[1] for results in Path(folder).glob("*/study/results.csv"))
    for each in of_settings or [folder]:
        draw_figures(each)
        print(f"report: {build_report(each)}")
