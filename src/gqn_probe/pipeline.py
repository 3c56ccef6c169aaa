"""The context-count study around its jobs: plan them, load what they share, and evaluate them after the last."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig

from gqn_probe import wandb_logging, wandb_results
from gqn_probe.analysis.inputs.feature_file import FeatureFile, read_features, shared_scenes
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.protocols.jobs import is_done, job_note
from gqn_probe.analysis.protocols.study import run_study
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.protocols.viewer_images import write_viewer
from gqn_probe.analysis.protocols.voxels import write_voxels
from gqn_probe.analysis.statistics.setting_differences import object_differences
from gqn_probe.context_range import parse_counts
from gqn_probe.data import encode_cameras
from gqn_probe.model import InputSpec, load_gqn, weights_path
from gqn_probe.progress import progress
from gqn_probe.report.compare import compare_settings, pairs_by_group, read_settings
from gqn_probe.report.figure_registry import draw_figures
from gqn_probe.report.page import build_report
from gqn_probe.report.terminal import print_results, say
from gqn_probe.results import Difference, write_rows
from gqn_probe.run import job
from gqn_probe.run.provenance import write_provenance
from gqn_probe.study_results import read_study
from gqn_probe.training.novel_views import find_renderer
from gqn_probe.types import SPLITS, Scenes
from gqn_probe.wandb_logging import ArtifactSpec, network_name

log = logging.getLogger(__name__)
LARGEST_COUNT = 15  # of the study


class CountJob(NamedTuple):
    """A number of context images, and the folder of its results."""

    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    folder: Path


def open_study_inputs(cfg: DictConfig, objects: int, jobs: Sequence[CountJob] = ()) -> StudyInputs:
    """The network, and the first scenes of a split that it was not trained on; the same for every job of a sweep.

    ValueError, before any work, where the scenes have too few views for one of ``jobs``, or are not such as the
    network was trained on.
    """
    study_inputs = _open_gqn(cfg, objects) if cfg.get("features") is None else _open_features(cfg, objects)
    for each in jobs:
        study_inputs.check(each.count)
    return study_inputs


def _open_gqn(cfg: DictConfig, objects: int) -> StudyInputs:
    if "_target_" not in cfg.data:
        raise ValueError("data=none has no scenes for a GQN to look at: it is for features=FILE")
    device = choose_device(cfg.device)
    gqn = load_gqn(cfg.checkpoint, steps=cfg.generator_steps)
    data = job.instantiate(cfg.data)
    split = data.split(cfg.split)
    scenes = split.select(slice(objects))
    height, width = scenes[:1].frames.shape[-2:]
    gqn.check(InputSpec((height, width), data.camera_order, data.lens))
    return StudyInputs(
        network=gqn,
        scenes=scenes,
        encode_cameras=data.encode,
        fingerprint=data.fingerprint(cfg.split),
        cache=Path(cfg.cache),
        # One view is kept for the query; but 15 views a scene, as published, still make a count of 15.
        usable_views=min(scenes.views, max(scenes.views - 1, LARGEST_COUNT)),
        device=device,
        render=find_renderer(data),
    )


def _open_features(cfg: DictConfig, objects: int) -> StudyInputs:
    """Features of another network, of the first scenes of a split that the file has; with ``data=none`` of its own."""
    known = {"cache": Path(cfg.cache), "device": choose_device(cfg.device)}
    if "_target_" not in cfg.data:
        network = read_features(cfg.features, has_images=False).first(objects)
        scenes = Scenes(
            torch.zeros(len(network.scenes), network.views, 3, 1, 1, dtype=torch.uint8),
            torch.zeros(len(network.scenes), network.views, 5),
            names=network.scenes,
        )
        data = network.fingerprint
        return StudyInputs(network, scenes, encode_cameras, data, usable_views=network.views, **known)
    data = job.instantiate(cfg.data)
    split = data.split(cfg.split)
    stored = split.select(shared_scenes(cfg.features, split.names, objects))
    network = read_features(cfg.features, stored.names)
    if network.views != stored.views:
        raise ValueError(
            f"features={cfg.features} has {network.views} views a scene, the data {stored.views}: it needs those of "
            "every image, in the order of the data"
        )
    data_key = data.fingerprint(cfg.split) + hashlib.sha256(json.dumps(stored.names).encode()).hexdigest()
    return StudyInputs(network, stored, data.encode, data_key, usable_views=stored.views, **known)


def choose_device(asked: object) -> str:
    """For ``auto`` a GPU, if there is one: jobs of a sweep take one after another. ValueError for what is not there."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        turn = job.number() % max(gpus, 1)
        return f"cuda:{turn}" if turn else "cuda" if gpus else "cpu"
    known = re.fullmatch(r"cpu|cuda(?::(\d+))?", str(asked))
    if not known:
        raise ValueError(f"device={asked} is not known: use auto, cpu, cuda or cuda:N")
    if known[0] != "cpu" and int(known[1] or 0) >= gpus:
        raise ValueError(f"device={asked} is not there: PyTorch finds {gpus} GPUs; use device=auto or device=cpu")
    return known[0]


def plan_counts(cfg: DictConfig, folder: Path) -> list[CountJob]:
    """A folder for each count of ``context``.

    Raises:
        ValueError: before any work, where context, split, checkpoint or cache cannot be meant.
    """
    check_choices(cfg)
    counts = parse_counts(cfg.context)
    if job.in_sweep() and len(counts) == 1:
        return [CountJob(counts[0], folder)]
    return [CountJob(count, folder / f"count-{count:02d}") for count in counts]


def check_choices(cfg: DictConfig) -> None:
    """Refuse, before any work, a split, checkpoint or cache that cannot be meant."""
    if cfg.split not in (*SPLITS, "all"):
        raise ValueError(f"split={cfg.split} is not known: use {' or '.join(SPLITS)}, or all of them")
    for name, remedy in (
        ("checkpoint", "a file, or pretrained"),
        ("cache", "a folder, such as outputs/cache/features"),
    ):
        if not isinstance(cfg[name], str):
            raise ValueError(f"{name}={cfg[name] or 'null'} is not a path: name {remedy}")


def split_notes(split: str) -> list[str]:
    """What a reader must know of scenes that the network may have been trained on; logged, too."""
    if split in ("val", "test"):
        return []
    note = (
        f"split={split} has objects that the network may have been trained on: what is read of them may be what it "
        "remembers. Use split=test, unless it was trained on other data."
    )
    log.warning("note: %s", note)
    return [note]


def unfinished(jobs: Sequence[CountJob], study_inputs: StudyInputs, settings: StudySettings) -> list[CountJob]:
    """The jobs without those that an earlier run in the same folders did with the same weights, data and settings."""
    note = job_note(study_inputs, settings)
    done = [each for each in jobs if is_done(each.folder, each.count, note)]
    for each in done:
        log.info("context=%d is done already: %s", each.count, each.folder)
    return [each for each in jobs if each not in done]


def with_progress(jobs: Sequence[CountJob]) -> Iterator[CountJob]:
    """Yield the jobs behind a progress bar where one process has several; a sweep has a bar of its own."""
    if len(jobs) < 2:
        yield from jobs
        return
    with progress("counts", len(jobs), "counts") as advance:
        for each in jobs:
            yield each
            advance(1)


def weights_artifact(cfg: DictConfig, study_inputs: StudyInputs) -> ArtifactSpec:
    """The W&B artifact of the weights, or of the features in their place, that the jobs of a study read."""
    if isinstance(study_inputs.network, FeatureFile):
        return features_artifact(study_inputs)
    return ArtifactSpec("model", network_name(study_inputs.gqn), weights_path(cfg.checkpoint))


def features_artifact(study_inputs: StudyInputs) -> ArtifactSpec:
    """The W&B artifact of the features that the jobs of a study share."""
    if isinstance(study_inputs.network, FeatureFile):
        path = study_inputs.network.path
        return ArtifactSpec("features", f"{path.stem}-{study_inputs.network.fingerprint[:12]}", path)
    folder = study_inputs.features_folder
    return ArtifactSpec("features", f"{network_name(study_inputs.gqn)}-{folder.name[:12]}", folder)


def finish_study(
    cfg: DictConfig, study_inputs: StudyInputs, settings: StudySettings, jobs: list[Path], folder: Path
) -> None:
    """Evaluate the jobs' folders: results, figures, report and W&B run in ``folder/study``, a table in the terminal."""
    home = folder / "study"
    facts = study_inputs.fingerprints
    root = job.root_folder()
    name = "study" if folder == root else f"study {folder.name}"  # one of several in a sweep
    with wandb_logging.loggers(cfg, folder, job_type="study", name=name, facts=facts) as loggers:
        run_study(study_inputs, settings, jobs, home, notes=split_notes(cfg.split))
        write_provenance(home, cfg, device=study_inputs.device, **facts)
        make_pictures(cfg, study_inputs, settings, home)
        study = read_study(home)
        drawings = draw_figures(study)
        build_report(study, drawings)
        wandb_results.log_study(loggers, study, drawings)
        made = ArtifactSpec("study", artifact_name(root, folder), home)
        wandb_logging.log_lineage(loggers, uses=features_artifact(study_inputs), makes=made)
        where = wandb_logging.address(loggers)
    if len(study_inputs.scenes) < settings.objects:
        more = f"; data.{cfg.split}={settings.objects} gives as many" if cfg.split in cfg.data else ""
        there = f"split={cfg.split} has {len(study_inputs.scenes)} scenes, which were all studied{more}"
        log.warning("note: probe.objects=%d, but %s", settings.objects, there)
    print_results(study, wandb=where)


def make_pictures(cfg: DictConfig, study_inputs: StudyInputs, settings: StudySettings, folder: Path) -> None:
    """What the report's viewer shows, and where r holds objects, where ``viewer`` is wanted.

    Rendered objects are seen from any camera.
    """
    if cfg.get("viewer") is None or not study_inputs.draws:
        return
    wanted = job.instantiate(cfg.viewer)
    shown = {"counts": wanted.counts, "objects": wanted.objects}
    cubes = write_voxels(
        study_inputs,
        folder,
        strengths=settings.strengths,
        seed=settings.seed,
        untrained=settings.seed * settings.untrained,
        **shown,
    )
    chosen = None if cubes is None else np.load(cubes)["objects"].tolist()
    write_viewer(study_inputs, wanted, folder / "viewer", seed=cfg.seed, render=study_inputs.render, chosen=chosen)


def artifact_name(root: Path, folder: Path) -> str:
    """The name of a study in a run's folder, or in one below it, in the characters that W&B allows."""
    parts = (*root.parts[-2:], *folder.relative_to(root).parts)
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(parts))


def rebuild_report(folder: str | Path) -> None:
    """Draw figures and report of a finished study, or of each study of a sweep, again from result files."""
    of_settings = sorted(results.parents[1] for results in Path(folder).glob("*/study/results.csv"))
    for each in of_settings or [folder]:
        study = read_study(each)
        say(f"report: {build_report(study, draw_figures(study))}")
    if (page := compare_settings(Path(folder))) is not None:
        say(f"comparison: {page}")


def finish_sweep(cfg: DictConfig, folder: Path) -> None:
    """After the studies of a sweep over more than the context: one page, table and W&B run that compare them."""
    settings = read_settings(folder)
    differences: list[Difference] = []
    if len(settings) > 1:
        first, pairs = pairs_by_group(settings)
        differences = list(object_differences(pairs, first))
        write_rows(folder / "differences.csv", Difference, differences)
    page = compare_settings(folder)
    if page is None:
        return
    say(f"comparison: {page}")
    with wandb_logging.loggers(cfg, folder, job_type="sweep", name="comparison") as loggers:
        wandb_results.log_comparison(loggers, settings, differences, folder / "figures" / "compare.png")
