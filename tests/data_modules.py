"""Small data modules of each kind of source, and what may be changed of them."""

from pathlib import Path
from typing import Any

from gqn_probe.data import SceneDataModule, dataset_files, prepared, shepard_metzler
from gqn_probe.data.stimuli.scene_renderer import DEFAULT_LENS


def rendered(cache: Path, **changes: Any) -> SceneDataModule:
    settings = {"parts": 5, "size": 8, "views": 3, "train": 70, "val": 10, "test": 20, "background": "plain"}
    settings |= {"split_by": "shape", "online": False, "seed": 0, "batch_size": 8, "num_workers": 0}
    settings |= {"camera_order": "cos_sin", "fraction": 1.0, "cache": str(cache), "lens": DEFAULT_LENS._asdict()}
    return shepard_metzler(**settings | changes)


def files(root: Path, cache: Path, **changes: Any) -> SceneDataModule:
    settings = {"kind": "deepmind", "root": str(root), "name": "shepard_metzler_5_parts", "size": None, "lens": None}
    settings |= {"frames": "jpeg", "seed": 0, "batch_size": 4, "num_workers": 0, "camera_order": "cos_sin"}
    return dataset_files(**settings | {"fraction": 1.0, "cache": str(cache)} | changes)


def store(root: Path | str, **changes: Any) -> SceneDataModule:
    settings = {"root": str(root), "size": None, "lens": None, "seed": 0, "batch_size": 4, "num_workers": 0}
    settings |= {"cache": "outputs/cache/data", "kept_gb": 1.0, "window": 100}
    return prepared(**settings | {"camera_order": "cos_sin", "fraction": 1.0} | changes)
