"""Scenes: rendered, DeepMind's datasets, the PyTorch port's files, your own; and how training reads them."""

from .cameras import encode_cameras
from .converted import read_converted
from .datamodule import SceneDataModule, dataset_files, shepard_metzler
from .render import render_scenes
from .tfrecord import read_tfrecord

__all__ = [
    "SceneDataModule",
    "dataset_files",
    "encode_cameras",
    "read_converted",
    "read_tfrecord",
    "render_scenes",
    "shepard_metzler",
]
