"""The study of context counts: plan its jobs, evaluate them after the last, draw its report again."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from omegaconf import DictConfig

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.pictures.viewer_images import write_viewer
from gqn_probe.analysis.pictures.voxels import write_voxels
from gqn_probe.analysis.protocols.jobs import is_done, job_metadata
from gqn_probe.analysis.protocols.study import run_study
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.statistics.setting_differences import object_differences
from gqn_probe.context_range import parse_counts
from gqn_probe.pipeline.artifacts import features_artifact, study_artifact
from gqn_probe.pipeline.open_inputs import check_choices, split_notes
from gqn_probe.progress import progress
from gqn_probe.report.compare import compare_settings
from gqn_probe.report.figure_registry import draw_figures
from gqn_probe.report.page import build_report
from gqn_probe.report.study_results import read_study
from gqn_probe.report.sweep_settings import pairs_by_group, read_settings
from gqn_probe.report.terminal import print_results, say
from gqn_probe.results import Difference, write_rows
from gqn_probe.run import job
from gqn_probe.run.provenance import write_provenance
from gqn_probe.tracking import log_results
from gqn_probe.tracking.wandb_run import log_lineage, open_loggers, run_address

log = logging.getLogger(__name__)


class CountJob(NamedTuple):
    """A count of context images and the folder of its results."""

    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    folder: Path


def plan_counts(cfg: DictConfig, folder: Path) -> list[CountJob]:
    """Return a job, with a folder of its own, for each count of ``context``.

    Raises:
        ValueError: context, split, checkpoint or cache is not valid.
    """
    check_choices(cfg)
    counts = parse_counts(cfg.context)
    if job.in_sweep() and len(counts) == 1:
        return [CountJob(counts[0], folder)]
    return [CountJob(count, folder / f"count-{count:02d}") for count in counts]


def unfinished(jobs: Sequence[CountJob], study_inputs: StudyInputs, settings: StudySettings) -> list[CountJob]:
    """Return the jobs left to do: not those that an earlier run finished with the same weights, data and settings."""
    note = job_metadata(study_inputs, settings)
    done = [each for each in jobs if is_done(each.folder, each.count, note)]
    for each in done:
        log.info("context=%d is done already: %s", each.count, each.folder)
    return [each for each in jobs if each not in done]


def with_progress(jobs: Sequence[CountJob]) -> Iterator[CountJob]:
    """Yield the jobs, with a progress bar if there are several; a sweep has a bar of its own."""
    if len(jobs) < 2:
        yield from jobs
        return
    with progress("counts", len(jobs), "counts") as advance:
        for each in jobs:
            yield each
            advance(1)


def finish_study(
    cfg: DictConfig, study_inputs: StudyInputs, settings: StudySettings, jobs: list[Path], folder: Path
) -> None:
    """Evaluate finished jobs: write results, figures and report to ``folder/study``, log them to W&B, print a table.

    Args:
        jobs: folders of the counts, as ``run_count`` left them.
    """
    home = folder / "study"
    facts = study_inputs.fingerprints
    name = "study" if folder == job.root_folder() else f"study {folder.name}"  # one of several in a sweep
    with open_loggers(cfg, folder, job_type="study", name=name, facts=facts) as loggers:
        run_study(study_inputs, settings, jobs, home, notes=split_notes(cfg.split))
        write_provenance(home, cfg, device=study_inputs.device, **facts)
        write_viewer_files(cfg, study_inputs, settings, home)
        study = read_study(home)
        drawings = draw_figures(study)
        build_report(study, drawings)
        log_results.log_study(loggers, study, drawings)
        log_lineage(loggers, uses=features_artifact(study_inputs), makes=study_artifact(folder))
        address = run_address(loggers)
    if len(study_inputs.scenes) < settings.objects:
        more = f"; data.{cfg.split}={settings.objects} gives as many" if cfg.split in cfg.data else ""
        used = f"split={cfg.split} has {len(study_inputs.scenes)} scenes, which were all studied{more}"
        log.warning("note: probe.objects=%d, but %s", settings.objects, used)
    print_results(study, wandb=address)


def write_viewer_files(cfg: DictConfig, study_inputs: StudyInputs, settings: StudySettings, folder: Path) -> None:
    """Write the images of the report's viewer and the decoded cubes, unless ``viewer=null`` or r predicts no images."""
    if cfg.get("viewer") is None or not study_inputs.predicts_images:
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


def rebuild_report(folder: str | Path) -> None:
    """Draw figures and report again from the result files of a study, or of each study of a sweep."""
    of_settings = sorted(results.parents[1] for results in Path(folder).glob("*/study/results.csv"))
    for each in of_settings or [folder]:
        study = read_study(each)
        say(f"report: {build_report(study, draw_figures(study))}")
    write_differences(Path(folder))
    if (page := compare_settings(Path(folder))) is not None:
        say(f"comparison: {page}")


def write_differences(folder: Path) -> list[Difference]:
    """Write ``differences.csv`` of a sweep over more than the context: each setting less the first, over objects."""
    settings = read_settings(folder)
    if len(settings) < 2:
        return []
    first, pairs = pairs_by_group(settings)
    differences = list(object_differences(pairs, first))
    write_rows(folder / "differences.csv", Difference, differences)
    return differences


def finish_sweep(cfg: DictConfig, folder: Path) -> None:
    """Compare the studies of a sweep over more than the context: one page, table and W&B run."""
    differences = write_differences(folder)
    page = compare_settings(folder)
    if page is None:
        return
    say(f"comparison: {page}")
    with open_loggers(cfg, folder, job_type="sweep", name="comparison") as loggers:
        log_results.log_comparison(loggers, read_settings(folder), differences, folder / "figures" / "compare.png")
