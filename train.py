"""Train a GQN: ``python train.py``, ``python train.py experiment=paper trainer.devices=4``, ``... resume=last``."""

import hydra
from omegaconf import DictConfig

from gqn_probe import resumption, run, wandb_logging
from gqn_probe.training.outcome import conclude


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> dict[str, float]:
    return run.guarded(train, cfg)


def train(cfg: DictConfig) -> dict[str, float]:
    """One training run, from the composed configuration to weights on disk; the last validation's metrics."""
    folder = run.prepare(cfg)
    past = resumption.past_of(folder, cfg.resume)
    data = run.instantiate(cfg.data)
    module = run.instantiate(cfg.training, gqn=run.instantiate(cfg.model), seed=cfg.seed)
    callbacks = [callback for callback in run.instantiate(cfg.callbacks).values() if callback is not None]
    with wandb_logging.loggers(cfg, folder, job_type="train", past=past) as loggers:
        trainer = run.instantiate(cfg.trainer, logger=loggers, callbacks=callbacks, default_root_dir=folder)
        with run.as_single_run():
            trainer.fit(module, datamodule=data, ckpt_path=past.checkpoint)
        outcome = conclude(trainer, module, data, folder)
        wandb_logging.log_weights(loggers, folder / "weights.safetensors")
        facts = {"continued_from_step": past.step, "data": data.provenance(), **outcome._asdict()}
        run.write_provenance(folder, cfg, device=trainer.strategy.root_device, **facts)
    return outcome.last_validation


if __name__ == "__main__":
    run.launch(main, rewrite=resumption.continued)
