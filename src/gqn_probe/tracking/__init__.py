"""Loggers of runs: Weights & Biases runs, results and dashboard, and the CSV of a training run."""
