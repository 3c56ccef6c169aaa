"""An analysis in place of the study of counts (``analysis=NAME``): run it, write and draw what it found, log it.

An analysis is an object that its YAML in ``conf/analysis`` describes, see ``Analysis``; CONTRIBUTING.md says how to add
one.
"""

import logging
from pathlib import Path
from typing import Protocol, runtime_checkable

from omegaconf import DictConfig

from gqn_probe import pipeline, wandb_logging, wandb_results
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.report.figure_registry import draw_figures
from gqn_probe.report.page import build_report
from gqn_probe.report.terminal import print_results
from gqn_probe.results import Findings, write_findings
from gqn_probe.run import job
from gqn_probe.run.provenance import write_provenance
from gqn_probe.study_results import read_study
from gqn_probe.wandb_logging import ArtifactSpec

log = logging.getLogger(__name__)


@runtime_checkable
class Analysis(Protocol):
    """The interface of what ``conf/analysis/NAME.yaml`` builds."""

    name: str  # as in ``analysis=NAME``

    @property
    def objects(self) -> int:
        """The number of scenes that it is of, from the first of ``split``."""
        ...

    def run(self, study_inputs: StudyInputs, folder: Path) -> Findings:
        """Return the findings; write tables and pictures of its own, which its figures read, to ``folder``."""
        ...


def run_analysis(cfg: DictConfig, folder: Path) -> None:
    """The analysis that ``cfg`` chooses: files, figures, page and W&B run in ``folder/study``, answers in the terminal.

    Raises:
        ValueError: before any work, where a setting cannot be meant.
    """
    pipeline.check_choices(cfg)
    analysis: Analysis = job.instantiate(cfg.analysis)
    study_inputs = pipeline.open_study_inputs(cfg, analysis.objects)
    home, facts = folder / "study", study_inputs.fingerprints
    home.mkdir(parents=True, exist_ok=True)
    name = f"{analysis.name} seed={cfg.seed}"
    with wandb_logging.loggers(cfg, folder, job_type=analysis.name, name=name, facts=facts) as loggers:
        findings = analysis.run(study_inputs, home)
        findings = findings._replace(notes=[*pipeline.split_notes(cfg.split), *findings.notes])
        write_findings(home, analysis.name, findings, job.plain_config(cfg.analysis))
        write_provenance(home, cfg, device=study_inputs.device, **facts)
        study = read_study(home)
        drawings = draw_figures(study)
        build_report(study, drawings)
        wandb_results.log_analysis(loggers, study, drawings)
        made = ArtifactSpec("study", pipeline.artifact_name(job.root_folder(), folder), home)
        wandb_logging.log_lineage(loggers, uses=pipeline.weights_artifact(cfg, study_inputs), makes=made)
        where = wandb_logging.address(loggers)
    if len(study_inputs.scenes) < analysis.objects:
        log.warning("note: analysis.objects=%d, but there are %d scenes", analysis.objects, len(study_inputs.scenes))
    print_results(study, wandb=where)
