"""Train a GQN: ``python train.py``, ``python train.py experiment=paper trainer.devices=4``, ``... resume=last``."""

import logging

import hydra
from omegaconf import DictConfig

from gqn_probe.run import cli, devices, job, resume

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float:
    """Run the recipe with the configuration that Hydra composed."""
    return cli.report_user_errors(train, cfg)


def train(cfg: DictConfig) -> float:
    """Train from the composed configuration to weights on disk; return the metric that a sweep may optimise."""
    folder = job.output_folder()
    if job.is_first_process():
        log.info("output folder: %s", folder)
    # Lightning, torch and W&B take seconds to import: only once the command line has been read.
    from gqn_probe.model import load_gqn
    from gqn_probe.model.checkpoint import copy_weights
    from gqn_probe.pipeline.artifacts import weights_artifact
    from gqn_probe.report.training_page import build_training_report
    from gqn_probe.run.provenance import write_provenance
    from gqn_probe.tracking.wandb_run import log_lineage, open_loggers
    from gqn_probe.training.best_weights import export_best_weights
    from gqn_probe.training.precision import choose_precision

    job.setup_job(cfg.seed)
    devices.check_world_size(cfg.trainer)
    if (value := resume.finished_before(folder, cfg)) is not None:
        return value
    start = resume.find_resume_point(folder, cfg.resume)
    data = job.open_data(cfg.data)
    data.source.pieces()  # refuse missing scenes before anything is written
    gqn = job.instantiate(cfg.model)
    if cfg.initial_weights is not None and start.checkpoint is None:
        copy_weights(cfg.initial_weights, gqn)
    module = job.instantiate(cfg.training, gqn=gqn, seed=cfg.seed)
    callbacks = [callback for callback in job.instantiate(cfg.callbacks).values() if callback is not None]
    run = {"callbacks": callbacks, "precision": choose_precision(cfg.trainer.precision, cfg.trainer.accelerator)}
    name = job.run_name(cfg.seed) if start.checkpoint is None else None  # a resumed run keeps its name
    with open_loggers(cfg, folder, job_type="train", name=name, first_step=start.step) as loggers:
        trainer = job.instantiate(cfg.trainer, logger=loggers, default_root_dir=folder, **run)
        with devices.as_single_run():
            trainer.fit(module, datamodule=data, ckpt_path=start.checkpoint)
        outcome = export_best_weights(trainer, module, data, folder)
        facts = {"continued_from_step": start.step, "precision": trainer.precision, "data": data.provenance()}
        facts |= outcome._asdict()
        write_provenance(folder, cfg, device=trainer.strategy.root_device, **facts)
        if trainer.is_global_zero:
            log.info("report: %s", build_training_report(folder))
            weights = folder / "weights.safetensors"
            log_lineage(loggers, makes=weights_artifact(load_gqn(weights), weights))
    return resume.optimized_value(outcome.last_validation, cfg.optimized_metric)


if __name__ == "__main__":
    cli.launch(main, rewrite=resume.expand_resume)
