"""A sweeper for Hydra that reads ``context=2..15``."""
