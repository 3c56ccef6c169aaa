"""Probe the scene representation as its context grows: ``python probe.py -m context=2..15``."""

import logging

import hydra
from omegaconf import DictConfig

from gqn_probe.run import cli, job

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path="conf", config_name="probe")
def main(cfg: DictConfig) -> None:
    """Run the recipe with the configuration that Hydra composed."""
    return cli.report_user_errors(probe, cfg)


def probe(cfg: DictConfig) -> None:
    """Run the job of each count of ``context``, then, unless this is one job of a sweep, the study of all counts.

    With ``analysis=NAME`` run that analysis instead.
    """
    # Lightning, torch and W&B take seconds to import: only once the command line has been read.
    from gqn_probe.analysis.protocols.count_job import run_count
    from gqn_probe.pipeline import analysis_run, open_inputs, study_run
    from gqn_probe.pipeline.artifacts import features_artifact, network_artifact
    from gqn_probe.tracking.log_results import log_count
    from gqn_probe.tracking.wandb_run import log_lineage, open_loggers

    if cfg.report is not None:
        return study_run.rebuild_report(str(cfg.report))
    job.setup_job(cfg.seed)
    folder = job.output_folder()
    if not job.in_sweep():
        log.info("output folder: %s", folder)
    if cfg.get("analysis") is not None:
        return analysis_run.run_analysis(cfg, folder)
    settings = job.instantiate(cfg.probe)
    jobs = study_run.plan_counts(cfg, folder)
    inputs = open_inputs.open_study_inputs(cfg, settings.objects, [each.count for each in jobs])
    for count, home in study_run.with_progress(study_run.unfinished(jobs, inputs, settings)):
        name, facts = f"k={count:02d} seed={cfg.seed}", inputs.fingerprints
        with open_loggers(cfg, job.root_folder(), job_type="count", name=name, facts=facts) as loggers:
            run_count(inputs, count, settings, home)
            log_count(loggers, home)
            log_lineage(loggers, uses=network_artifact(cfg, inputs), makes=features_artifact(inputs))
    if not job.in_sweep():
        study_run.finish_study(cfg, inputs, settings, [each.folder for each in jobs], folder)
    return None


if __name__ == "__main__":
    cli.launch(main)
