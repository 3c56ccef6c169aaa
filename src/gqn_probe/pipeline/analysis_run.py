"""Run an analysis in place of the study of counts (``analysis=NAME``): write, draw and log its findings.

CONTRIBUTING.md says how to add an analysis.
"""

import logging
from pathlib import Path
from typing import Protocol, runtime_checkable

from omegaconf import DictConfig

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.pipeline import open_inputs
from gqn_probe.pipeline.artifacts import network_artifact, study_artifact
from gqn_probe.report.figure_registry import draw_figures
from gqn_probe.report.page import build_report
from gqn_probe.report.study_results import read_study
from gqn_probe.report.terminal import print_results
from gqn_probe.results import Findings, write_findings
from gqn_probe.run import job
from gqn_probe.run.provenance import write_provenance
from gqn_probe.tracking import log_results
from gqn_probe.tracking.wandb_run import log_lineage, open_loggers, run_address

log = logging.getLogger(__name__)


@runtime_checkable
class Analysis(Protocol):
    """Interface of the object that ``conf/analysis/NAME.yaml`` describes."""

    name: str  # as in ``analysis=NAME``

    @property
    def objects(self) -> int:
        """Number of scenes analysed, the first of ``split``."""
        ...

    def run(self, study_inputs: StudyInputs, folder: Path) -> Findings:
        """Return the findings; further files that the figures of the analysis read are written to ``folder``."""
        ...


def run_analysis(cfg: DictConfig, folder: Path) -> None:
    """Run the analysis of ``cfg``: write files, figures and page to ``folder/study``, log to W&B, print the answers.

    Raises:
        ValueError: a setting is not valid.
    """
    open_inputs.check_choices(cfg)
    analysis: Analysis = job.instantiate(cfg.analysis)
    study_inputs = open_inputs.open_study_inputs(cfg, analysis.objects)
    home, facts = folder / "study", study_inputs.fingerprints
    home.mkdir(parents=True, exist_ok=True)
    name = f"{analysis.name} seed={cfg.seed}"
    with open_loggers(cfg, folder, job_type=analysis.name, name=name, facts=facts) as loggers:
        findings = analysis.run(study_inputs, home)
        findings = findings._replace(notes=[*open_inputs.split_notes(cfg.split), *findings.notes])
        write_findings(home, analysis.name, findings, job.plain_config(cfg.analysis))
        write_provenance(home, cfg, device=study_inputs.device, **facts)
        study = read_study(home)
        drawings = draw_figures(study)
        build_report(study, drawings)
        log_results.log_analysis(loggers, study, drawings)
        log_lineage(loggers, uses=network_artifact(cfg, study_inputs), makes=study_artifact(folder))
        address = run_address(loggers)
    if len(study_inputs.scenes) < analysis.objects:
        log.warning("note: analysis.objects=%d, but there are %d scenes", analysis.objects, len(study_inputs.scenes))
    print_results(study, wandb=address)
