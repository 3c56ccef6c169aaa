"""The ``_target_`` functions of ``conf/data/*.yaml``: build a data module from flat settings."""

import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from gqn_probe.data.datamodule import SceneDataModule
from gqn_probe.data.sources.own import OwnScenes
from gqn_probe.data.sources.published import Kind, PublishedScenes, kept_frames
from gqn_probe.data.sources.rendered import RenderedScenes
from gqn_probe.data.stimuli.cameras import make_lens
from gqn_probe.data.stimuli.scene_renderer import check_parts
from gqn_probe.data.store.prepared_store import PreparedStore


class LoaderSettings(TypedDict):
    """Settings of batches, whatever the source; see ``SceneDataModule``."""

    seed: int
    batch_size: int
    num_workers: int
    camera_order: str
    fraction: float


def shepard_metzler(
    *,
    parts: int | Sequence[int],
    size: int,
    views: int,
    train: int,
    val: int,
    test: int,
    background: str,
    split_by: str,
    online: bool,
    lens: Mapping[str, Any],
    cache: str,
    **serving: Unpack[LoaderSettings],
) -> SceneDataModule:
    """Build the data module of rendered Shepard-Metzler objects, kept in a store or new in each batch (``online``)."""
    numbers = check_parts(parts)
    source = RenderedScenes(
        numbers[0] if len(numbers) == 1 else numbers,
        size,
        views,
        train,
        val,
        test,
        serving["seed"],
        background,
        split_by,
        make_lens(lens),
    )
    return SceneDataModule(source=source, online=online, cache=cache, **serving)


def dataset_files(
    *,
    kind: Kind,
    root: str,
    name: str,
    size: int | None,
    frames: str | None,
    lens: Mapping[str, Any] | None,
    cache: str,
    **serving: Unpack[LoaderSettings],
) -> SceneDataModule:
    """Build the data module of a published dataset, in DeepMind's format or that of another port."""
    known = None if lens is None else make_lens(lens)
    source = PublishedScenes(kind, root, name, size, frames or kept_frames(kind, size), known)
    return SceneDataModule(source=source, online=False, cache=cache, **serving)


def own(
    *,
    root: str,
    size: int | None,
    lens: Mapping[str, Any],
    angles: str,
    up: str,
    crop: str,
    background: str | None,
    cache: str,
    **serving: Unpack[LoaderSettings],
) -> SceneDataModule:
    """Build the data module of your own images and cameras."""
    source = OwnScenes(root, size, make_lens(lens), angles, up, crop, background)
    return SceneDataModule(source=source, online=False, cache=cache, **serving)


def prepared(
    *,
    root: str,
    size: int | None,
    lens: Mapping[str, Any] | None,
    cache: str,
    kept_gb: float,
    window: int,
    **serving: Unpack[LoaderSettings],
) -> SceneDataModule:
    """Build the data module of a store that ``python -m gqn_probe.data.prepare`` made."""
    source = PreparedStore(root, size, None if lens is None else make_lens(lens), cache, kept_gb, window)
    return SceneDataModule(source=source, online=False, cache=cache, **serving)


def from_source(
    *,
    source: str,
    cache: str,
    seed: int,
    batch_size: int,
    num_workers: int,
    camera_order: str,
    fraction: float,
    **settings: Any,
) -> SceneDataModule:
    """Build the data module of any ``Source`` class, so that a new dataset needs no factory of its own.

    Args:
        source: the class, as "package.module.Class".
        settings: all other entries of the YAML, the arguments of the class; one of them is ``size``.

    Raises:
        ValueError: the class cannot be imported.
    """
    try:
        kind = pkgutil.resolve_name(source)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"data.source={source} is not a class that can be imported: {error}") from error
    return SceneDataModule(
        source=kind(**settings),
        online=False,
        batch_size=batch_size,
        num_workers=num_workers,
        seed=seed,
        camera_order=camera_order,
        fraction=fraction,
        cache=cache,
    )
