"""Scenes: rendered, DeepMind's datasets, the PyTorch port's files, your own; and how training reads them."""

from .cameras import encode_cameras
from .render import render_scenes

__all__ = ["encode_cameras", "render_scenes"]
