"""Training of the GQN: LightningModule, schedules, callbacks, checkpoints, metrics, export of the best weights."""
