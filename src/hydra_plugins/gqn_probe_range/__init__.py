"""Hydra plugins: a sweeper that reads ``context=2..15``, and the list of all controls."""
