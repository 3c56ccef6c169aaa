"""The inputs that all jobs of a study share: a frozen network, evaluation scenes and a cache of features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from gqn_probe.analysis.inputs.feature_file import FeatureFile, Network
from gqn_probe.analysis.inputs.features import Features, extract_features, features_folder, network_fingerprint
from gqn_probe.analysis.inputs.readouts import UNLEARNED
from gqn_probe.data.store.store_reader import SceneSource
from gqn_probe.model import GQN
from gqn_probe.types import Render, Scenes


@dataclass(frozen=True)
class StudyInputs:
    """Frozen network (or feature file), evaluation scenes and feature cache, the same for all jobs of a study."""

    network: Network
    scenes: SceneSource
    encode_cameras: Callable[[Tensor], Tensor]  # raw cameras ``... 5`` to ``... 7``
    fingerprint: str  # hash of the scenes' source
    cache: Path  # folder of the feature cache
    usable_views: int  # the largest count: views a scene, less the held-out query if there is one
    device: str = "cpu"
    batch_size: int = 16  # scenes encoded at a time
    render: Render | None = None  # renders objects from new cameras; None for scenes that were not rendered here

    def __post_init__(self) -> None:
        if not 0 < self.usable_views <= self.scenes.views:
            raise ValueError(f"{self.usable_views} usable views of {self.scenes.views} views a scene")

    @property
    def gqn(self) -> GQN:
        """The network as a GQN.

        Raises:
            ValueError: the study is of a feature file.
        """
        if isinstance(self.network, FeatureFile):
            raise ValueError(f"this needs a GQN, and features={self.network.path} holds features alone")
        return self.network

    @property
    def predicts_images(self) -> bool:
        """True if the network predicts images; a feature file does not."""
        return not isinstance(self.network, FeatureFile)

    def check(self, count: int) -> None:
        """Raise ValueError if the scenes have too few views for a count."""
        if not 1 <= count <= self.usable_views:
            raise ValueError(
                f"context={count} is out of range: these scenes have {self.usable_views} usable views; "
                f"use counts in 1..{self.usable_views}"
            )

    def features(self, readouts: Sequence[str], scenes: SceneSource | None = None) -> Features:
        """Return read-outs of every view of ``scenes``, which are the first ones of the study; None is all."""
        some, network = self.scenes if scenes is None else scenes, self.network
        given: dict[str, Tensor] = {}
        if isinstance(network, FeatureFile):
            own = network.select(slice(len(some)))
            given = {name: own.features(name) for name in readouts if name not in UNLEARNED}
            if len(given) == len(readouts):
                return Features(given)
        made = extract_features(
            network,
            some,
            self.encode_cameras,
            data=self.fingerprint,
            folder=self.cache,
            readouts=[name for name in readouts if name not in given],
            batch_size=self.batch_size,
            device=self.device,
        )
        return Features({**made.arrays, **given})

    @cached_property
    def features_folder(self) -> Path:
        """Folder of the cached features of all scenes."""
        return features_folder(self.network, self.scenes, self.encode_cameras, data=self.fingerprint, folder=self.cache)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Hashes of data and weights, which the results depend on beside the settings."""
        name = "features" if isinstance(self.network, FeatureFile) else "checkpoint"
        return {"data": self.fingerprint, name: network_fingerprint(self.network)}

    def select(self, rows: Int[Tensor, " s"], cache: Path) -> "StudyInputs":
        """Return a copy with some of the scenes, whose features are cached in a folder of their own."""
        scenes, network = self.scenes, self.network
        return replace(
            self,
            scenes=scenes[rows] if isinstance(scenes, Scenes) else scenes.select(rows),
            network=network.select(rows) if isinstance(network, FeatureFile) else network,
            cache=cache,
        )

    def untrained(self, seed: int) -> "StudyInputs":
        """Return a copy with randomly initialised weights.

        Raises:
            ValueError: the study is of a feature file.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return replace(self, network=GQN.from_settings(self.gqn.settings()).eval())
