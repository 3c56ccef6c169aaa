"""Decoding targets, control conditions, and splits by object."""
