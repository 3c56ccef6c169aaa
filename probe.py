"""Study what the representation tells as its context grows: ``python probe.py -m context=2..15``."""

import hydra
from omegaconf import DictConfig

from gqn_probe.run import cli, job


@hydra.main(version_base="1.3", config_path="conf", config_name="probe")
def main(cfg: DictConfig) -> None:
    """What Hydra calls with the composed configuration."""
    return cli.report_user_errors(probe, cfg)


def probe(cfg: DictConfig) -> None:
    """The job of each count of ``context``; then, unless this is one job of a sweep, the study of them all.

    With ``analysis=NAME``, that analysis instead.
    """
    # Lightning, torch and W&B take seconds to import: only once the command line has been read.
    from gqn_probe import analysis_run, pipeline, wandb_logging, wandb_results
    from gqn_probe.analysis.protocols.count_job import run_count

    if cfg.report is not None:
        return pipeline.rebuild_report(str(cfg.report))
    job.setup_job(cfg.seed)
    folder = job.output_folder()
    if cfg.get("analysis") is not None:
        return analysis_run.run_analysis(cfg, folder)
    settings = job.instantiate(cfg.probe)
    counts = pipeline.plan_counts(cfg, folder)
    inputs = pipeline.open_study_inputs(cfg, settings.objects, counts)
    for count in pipeline.with_progress(pipeline.unfinished(counts, inputs, settings)):
        name, facts = f"k={count.count:02d} seed={cfg.seed}", inputs.fingerprints
        with wandb_logging.loggers(cfg, job.root_folder(), job_type="count", name=name, facts=facts) as loggers:
            run_count(inputs, count.count, settings, count.folder)
            wandb_results.log_count(loggers, count.folder)
            made = pipeline.features_artifact(inputs)
            wandb_logging.log_lineage(loggers, uses=pipeline.weights_artifact(cfg, inputs), makes=made)
    if not job.in_sweep():
        pipeline.finish_study(cfg, inputs, settings, [count.folder for count in counts], folder)
    return None


if __name__ == "__main__":
    cli.launch(main)
