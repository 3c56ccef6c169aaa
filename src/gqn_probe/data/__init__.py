"""Scenes: rendered objects, DeepMind's datasets, files of other ports, your own images; and their loading."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqn_probe.data.datamodule import SceneDataModule
    from gqn_probe.data.factory import from_source
    from gqn_probe.data.formats.deepmind import read_tfrecord
    from gqn_probe.data.formats.ports import read_converted
    from gqn_probe.data.stimuli.cameras import encode_cameras
    from gqn_probe.data.stimuli.scene_renderer import render_scenes

__all__ = ["SceneDataModule", "encode_cameras", "from_source", "read_converted", "read_tfrecord", "render_scenes"]
HOMES = {
    "SceneDataModule": "datamodule",
    "encode_cameras": "stimuli.cameras",
    "from_source": "factory",
    "read_converted": "formats.ports",
    "read_tfrecord": "formats.deepmind",
    "render_scenes": "stimuli.scene_renderer",
}


def __getattr__(name: str) -> object:
    # Imported on first use: torch and Lightning take seconds, and `prepare -h` needs neither.
    if name in HOMES:
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *HOMES]
