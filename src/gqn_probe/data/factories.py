"""What conf/data/*.yaml name: one flat list of settings to a data module."""

from typing import Literal

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.own import OwnScenes
from gqn_probe.data.published import DatasetFiles
from gqn_probe.data.sources import PreparedStore, Rendered


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
    seed: int,
    batch_size: int,
    num_workers: int,
    camera_order: str,
    fraction: float,
    cache: str,
) -> SceneDataModule:
    """Shepard-Metzler objects rendered by us: once, or anew for each batch (``online``)."""
    return SceneDataModule(
        source=Rendered(parts, size, views, train, val, test, seed, background, split_by),
        online=online,
        seed=seed,
        batch_size=batch_size,
        num_workers=num_workers,
        camera_order=camera_order,
        fraction=fraction,
        cache=cache,
    )


def dataset_files(
    *,
    kind: Literal["deepmind", "converted"],
    root: str,
    name: str,
    size: int | None,
    frames: str,
    seed: int,
    batch_size: int,
    num_workers: int,
    camera_order: str,
    fraction: float,
    cache: str,
) -> SceneDataModule:
    """A published dataset in DeepMind's format or the PyTorch port's."""
    return SceneDataModule(
        source=DatasetFiles(kind, root, name, size, frames),
        online=False,
        seed=seed,
        batch_size=batch_size,
        num_workers=num_workers,
        camera_order=camera_order,
        fraction=fraction,
        cache=cache,
    )


def own(
    *,
    root: str,
    size: int | None,
    seed: int,
    batch_size: int,
    num_workers: int,
    camera_order: str,
    fraction: float,
    cache: str,
) -> SceneDataModule:
    """Your images and cameras."""
    return SceneDataModule(
        source=OwnScenes(root, size),
        online=False,
        seed=seed,
        batch_size=batch_size,
        num_workers=num_workers,
        camera_order=camera_order,
        fraction=fraction,
        cache=cache,
    )


def prepared(
    *,
    root: str,
    seed: int,
    batch_size: int,
    num_workers: int,
    camera_order: str,
    fraction: float,
) -> SceneDataModule:
    """A store made by ``python -m gqn_probe.data.prepare``."""
    return SceneDataModule(
        source=PreparedStore(root),
        online=False,
        seed=seed,
        batch_size=batch_size,
        num_workers=num_workers,
        camera_order=camera_order,
        fraction=fraction,
        cache=root,
    )
