"""Open what a study or an analysis is of, as the configuration says: network or features, scenes, device."""

import hashlib
import json
import logging
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import torch
from omegaconf import DictConfig

from gqn_probe.analysis.inputs.feature_file import read_features, read_names, shared_scenes
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.choices import check_choice
from gqn_probe.data import encode_cameras
from gqn_probe.model import InputSpec, load_gqn
from gqn_probe.run import job
from gqn_probe.training.novel_views import find_renderer
from gqn_probe.types import SPLITS, Scenes

log = logging.getLogger(__name__)
LARGEST_COUNT = 15  # of the study


def open_study_inputs(cfg: DictConfig, objects: int, counts: Iterable[int] = ()) -> StudyInputs:
    """Return the network and the first scenes of ``cfg.split``; the same for every job of a sweep.

    Args:
        objects: number of scenes; fewer where the split has fewer.
        counts: context counts that the scenes must have views for.

    Raises:
        ValueError: the scenes have too few views, or their images or cameras are not those of the network's training.
    """
    study_inputs = _open_gqn(cfg, objects) if cfg.get("features") is None else _open_features(cfg, objects)
    for count in counts:
        study_inputs.check(count)
    return study_inputs


def _open_gqn(cfg: DictConfig, objects: int) -> StudyInputs:
    data = job.open_data(cfg.data)
    device = choose_device(cfg.device)
    gqn = load_gqn(cfg.checkpoint, steps=cfg.generator_steps)
    split = data.split(cfg.split)
    scenes = split.select(slice(objects))
    height, width = scenes[:1].frames.shape[-2:]
    gqn.check(InputSpec((height, width), data.camera_order, data.lens))
    if gqn.input_spec.size and gqn.input_spec.size != (height, width):
        _note_size(gqn.input_spec.size[0], height)
    return StudyInputs(
        network=gqn,
        scenes=scenes,
        encode_cameras=data.encode,
        fingerprint=data.fingerprint(cfg.split),
        cache=Path(cfg.cache),
        # One view is kept for the query; but 15 views a scene, as published, still make a count of 15.
        usable_views=min(scenes.views, max(scenes.views - 1, LARGEST_COUNT)),
        device=device,
        render=find_renderer(data),
    )


@cache
def _note_size(trained: int, given: int) -> None:
    """Log once, for all jobs of a process, that a network which takes any size was trained on another."""
    log.info(
        "the weights were trained on frames of %d pixels, these have %d: data.size=%d is as trained",
        trained,
        given,
        trained,
    )


def _open_features(cfg: DictConfig, objects: int) -> StudyInputs:
    """Return features of another network for the first scenes of a split, or with ``data=none`` for the file's own."""
    known = {"cache": Path(cfg.cache), "device": choose_device(cfg.device)}
    if "_target_" not in cfg.data:
        network = read_features(
            cfg.features, read_names(cfg.features)[:objects], has_images=False, cache=Path(cfg.cache)
        )
        scenes = Scenes(
            torch.zeros(len(network.scenes), network.views, 3, 1, 1, dtype=torch.uint8),
            torch.zeros(len(network.scenes), network.views, 5),
            names=network.scenes,
        )
        data = network.fingerprint
        return StudyInputs(network, scenes, encode_cameras, data, usable_views=network.views, **known)
    data = job.instantiate(cfg.data)
    split = data.split(cfg.split)
    stored = split.select(shared_scenes(cfg.features, split.names, objects))
    network = read_features(cfg.features, stored.names, cache=Path(cfg.cache))
    if network.views != stored.views:
        raise ValueError(
            f"features={cfg.features} has {network.views} views a scene, the data {stored.views}: it needs those of "
            "every image, in the order of the data"
        )
    data_key = data.fingerprint(cfg.split) + hashlib.sha256(json.dumps(stored.names).encode()).hexdigest()
    return StudyInputs(network, stored, data.encode, data_key, usable_views=stored.views, **known)


def choose_device(asked: object) -> str:
    """Return the device that ``device=`` names; for ``auto`` a GPU if there is one, jobs of a sweep taking turns.

    Raises:
        ValueError: the name is not a device's, or the machine has no such device.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        turn = job.number() % max(gpus, 1)
        return f"cuda:{turn}" if turn else "cuda" if gpus else "cpu"
    known = re.fullmatch(r"cpu|cuda(?::(\d+))?", str(asked))
    if not known:
        raise ValueError(f"device={asked} is not known: use auto, cpu, cuda or cuda:N")
    if known[0] != "cpu" and int(known[1] or 0) >= gpus:
        raise ValueError(f"device={asked} does not exist: PyTorch finds {gpus} GPUs; use device=auto or device=cpu")
    return known[0]


def check_choices(cfg: DictConfig) -> None:
    """Raise ValueError, before any work, for a split, checkpoint or cache that is not valid."""
    check_choice("split", cfg.split, (*SPLITS, "all"))
    for name, remedy in (
        ("checkpoint", "a file, or pretrained"),
        ("cache", "a folder, such as outputs/cache/features"),
    ):
        if not isinstance(cfg[name], str):
            raise ValueError(f"{name}={cfg[name] or 'null'} is not a path: name {remedy}")


def split_notes(split: str) -> list[str]:
    """Return, and log, the note that readers need where the network may have been trained on the scenes."""
    if split in ("val", "test"):
        return []
    note = (
        f"split={split} has objects that the network may have been trained on, so scores may reflect memorisation. "
        "Use split=test, unless the network was trained on other data."
    )
    log.warning("note: %s", note)
    return [note]
