"""Small data modules of each kind of source, and what may be changed of them."""

from pathlib import Path
from typing import Any

from gqn_probe.data import SceneDataModule, from_source
from gqn_probe.data.stimuli.scene_renderer import DEFAULT_LENS

LOADING: dict[str, Any] = {"seed": 0, "batch_size": 4, "num_workers": 0, "camera_order": "cos_sin", "fraction": 1.0}


def _module(source: str, cache: Path | str, settings: dict[str, Any]) -> SceneDataModule:
    place: dict[str, Any] = {"source": f"gqn_probe.data.{source}", "cache": str(cache)}
    return from_source(**LOADING | place | settings)


def rendered(cache: Path, **changes: Any) -> SceneDataModule:
    settings = {"parts": 5, "size": 8, "views": 3, "train": 70, "val": 10, "test": 20, "background": "plain"}
    settings |= {"split_by": "shape", "online": False, "batch_size": 8, "lens": DEFAULT_LENS._asdict()}
    return _module("sources.rendered.RenderedScenes", cache, settings | changes)


def files(root: Path, cache: Path, **changes: Any) -> SceneDataModule:
    settings = {"kind": "deepmind", "root": str(root), "name": "shepard_metzler_5_parts", "size": None, "lens": None}
    return _module("sources.published.PublishedScenes", cache, settings | {"frames": "jpeg"} | changes)


def own(root: Path, cache: Path, **changes: Any) -> SceneDataModule:
    settings = {"root": str(root), "size": None, "lens": {"kind": "perspective", "scale": None}}
    return _module("sources.own.OwnScenes", cache, settings | changes)


def store(root: Path | str, **changes: Any) -> SceneDataModule:
    settings = {"root": str(root), "size": None, "lens": None, "kept_gb": 1.0, "window": 100}
    return _module("store.prepared_store.PreparedStore", "outputs/cache/data", settings | changes)
