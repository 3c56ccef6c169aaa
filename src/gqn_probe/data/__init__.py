"""Scenes: rendered objects, DeepMind's datasets, files of other ports, your own images; and their loading."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqn_probe.data.datamodule import SceneDataModule
    from gqn_probe.data.factories import dataset_files, from_source, own, prepared, shepard_metzler
    from gqn_probe.data.formats.deepmind import read_tfrecord
    from gqn_probe.data.formats.ports import read_converted
    from gqn_probe.data.stimuli.cameras import encode_cameras
    from gqn_probe.data.stimuli.scene_renderer import render_scenes

__all__ = [
    "SceneDataModule",
    "dataset_files",
    "encode_cameras",
    "from_source",
    "own",
    "prepared",
    "read_converted",
    "read_tfrecord",
    "render_scenes",
    "shepard_metzler",
]
HOMES = {
    "SceneDataModule": "datamodule",
    "encode_cameras": "stimuli.cameras",
    "read_converted": "formats.ports",
    "read_tfrecord": "formats.deepmind",
    "render_scenes": "stimuli.scene_renderer",
}


def __getattr__(name: str) -> object:
    # Imported on first use: torch and Lightning take seconds, and `prepare -h` needs neither.
    if name in __all__:
        return getattr(import_module(f"{__name__}.{HOMES.get(name, 'factories')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
