"""Study what the representation tells as its context grows: ``python probe.py -m context=2..15``."""

import hydra
from omegaconf import DictConfig

from gqn_probe import run, study, wandb_logging
from gqn_probe.analysis.protocols.count_job import run_count


@hydra.main(version_base="1.3", config_path="conf", config_name="probe")
def main(cfg: DictConfig) -> None:
    return run.guarded(probe, cfg)


def probe(cfg: DictConfig) -> None:
    """The job of each count of ``context``; then, unless this is one job of a sweep, the study of them all."""
    if cfg.report is not None:
        return study.rebuild(str(cfg.report))
    folder = run.prepare(cfg)
    settings = run.instantiate(cfg.probe)
    jobs = study.plan_jobs(cfg, folder)
    material = study.open_material(cfg, settings, jobs)
    for job in study.in_turn(jobs):
        name, facts = f"context-{job.count}", material.fingerprints
        with wandb_logging.loggers(cfg, run.root_folder(), job_type="count", name=name, facts=facts) as loggers:
            run_count(material, job.count, settings, job.folder)
            wandb_logging.log_count(loggers, job.folder)
            wandb_logging.log_lineage(loggers, uses=study.weights(cfg, material), makes=study.features(material))
    if not run.in_sweep():
        study.finish(cfg, material, settings, [job.folder for job in jobs], folder)
    return None


if __name__ == "__main__":
    run.launch(main)
