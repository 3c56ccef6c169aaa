"""Scenes: rendered, DeepMind's datasets, the PyTorch port's files, your own; and how training reads them."""

from .cameras import encode_cameras
from .datamodule import SceneDataModule, shepard_metzler
from .render import render_scenes

__all__ = ["SceneDataModule", "encode_cameras", "render_scenes", "shepard_metzler"]
