"""A small generator, of which tests change what they are about."""

from typing import Any

from gqn_probe.model import Generator

SETTINGS = {
    "steps": 2, "representation_channels": 8, "pooled": False, "size": 16, "hidden_channels": 8, "canvas_channels": 8,
    "latent_channels": 2, "kernel": 3, "shared": True, "canvas_input": False, "core": "project",
    "deviation": "softplus", "output": "linear", "normalise": False,
}  # fmt: skip


def small_generator(**changes: Any) -> Generator:
    return Generator(**SETTINGS | changes)
