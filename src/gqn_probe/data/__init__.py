"""Scenes: rendered, DeepMind's datasets, the PyTorch port's files, your own; and how training reads them."""

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.factories import dataset_files, own, prepared, shepard_metzler
from gqn_probe.data.formats.deepmind import read_tfrecord
from gqn_probe.data.formats.wohlert import read_converted
from gqn_probe.data.stimuli.cameras import encode_cameras
from gqn_probe.data.stimuli.scene_renderer import render_scenes

__all__ = [
    "SceneDataModule",
    "dataset_files",
    "encode_cameras",
    "own",
    "prepared",
    "read_converted",
    "read_tfrecord",
    "render_scenes",
    "shepard_metzler",
]
