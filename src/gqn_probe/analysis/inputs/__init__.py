"""Inputs of probes: features of views, selection of context views, their sums."""
