"""What conf/data/*.yaml name: one flat list of settings to a data module."""

from typing import TypedDict, Unpack

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.own import OwnScenes
from gqn_probe.data.published import DatasetFiles, Kind, kept_frames
from gqn_probe.data.sources import PreparedStore, Rendered


class Serving(TypedDict):
    """How scenes are served, whatever their source; see ``SceneDataModule``."""

    seed: int
    batch_size: int
    num_workers: int
    camera_order: str
    fraction: float


def shepard_metzler(
    *,
    parts: int,
    size: int,
    views: int,
    train: int,
    val: int,
    test: int,
    background: str,
    split_by: str,
    online: bool,
    cache: str,
    **serving: Unpack[Serving],
) -> SceneDataModule:
    """Shepard-Metzler objects rendered by us: once, or anew for each batch (``online``)."""
    source = Rendered(parts, size, views, train, val, test, serving["seed"], background, split_by)
    return SceneDataModule(source=source, online=online, cache=cache, **serving)


def dataset_files(
    *,
    kind: Kind,
    root: str,
    name: str,
    size: int | None,
    frames: str | None,
    cache: str,
    **serving: Unpack[Serving],
) -> SceneDataModule:
    """A published dataset in DeepMind's format or the PyTorch port's."""
    source = DatasetFiles(kind, root, name, size, frames or kept_frames(kind, size))
    return SceneDataModule(source=source, online=False, cache=cache, **serving)


def own(*, root: str, size: int | None, cache: str, **serving: Unpack[Serving]) -> SceneDataModule:
    """Your images and cameras."""
    return SceneDataModule(source=OwnScenes(root, size), online=False, cache=cache, **serving)


def prepared(*, root: str, size: int | None, **serving: Unpack[Serving]) -> SceneDataModule:
    """A store made by ``python -m gqn_probe.data.prepare``."""
    return SceneDataModule(source=PreparedStore(root, size), online=False, cache=root, **serving)
