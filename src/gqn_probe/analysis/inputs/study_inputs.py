"""What a study is about: a network or features in its place, scenes, and where what is computed of them is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from gqn_probe.analysis.inputs.feature_file import FeatureFile, Network
from gqn_probe.analysis.inputs.features import Features, extract_features, features_folder, network_fingerprint
from gqn_probe.analysis.inputs.readouts import UNLEARNED
from gqn_probe.data.store.store_reader import SceneSource
from gqn_probe.model import GQN
from gqn_probe.types import Render


@dataclass(frozen=True)
class StudyInputs:
    """The network and the scenes that jobs and the study look at; all of them must be given the same."""

    network: Network
    scenes: SceneSource
    encode_cameras: Callable[[Tensor], Tensor]  # raw cameras ``... 5`` to ``... 7``
    fingerprint: str  # of the scenes' source
    cache: Path  # folder of features
    usable_views: int  # the largest count: all views, less one where one is kept for the query
    device: str = "cpu"
    batch_size: int = 16  # scenes encoded at a time
    render: Render | None = None  # any object from any raw camera, as the scenes show theirs; None for others' scenes

    def __post_init__(self) -> None:
        if not 0 < self.usable_views <= self.scenes.views:
            raise ValueError(f"{self.usable_views} usable views of {self.scenes.views} views a scene")

    @property
    def gqn(self) -> GQN:
        """The network, for what needs its weights.

        Raises:
            ValueError: a file of features stands in for it.
        """
        if isinstance(self.network, FeatureFile):
            raise ValueError(f"this needs a GQN, and features={self.network.path} holds features alone")
        return self.network

    @property
    def predicts_images(self) -> bool:
        """Whether views can be predicted: features of a file cannot be drawn from."""
        return not isinstance(self.network, FeatureFile)

    def check(self, count: int) -> None:
        """Refuse a count that the scenes have not enough views for."""
        if not 1 <= count <= self.usable_views:
            raise ValueError(
                f"context={count} is out of range: these scenes have {self.usable_views} usable views; "
                f"use counts in 1..{self.usable_views}"
            )

    def features(self, readouts: Sequence[str], scenes: SceneSource | None = None) -> Features:
        """Read-outs of every view, of all scenes or of some first ones."""
        some, network = self.scenes if scenes is None else scenes, self.network
        given: dict[str, Tensor] = {}
        if isinstance(network, FeatureFile):
            given = {name: network.first(len(some)).features(name) for name in readouts if name not in UNLEARNED}
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
        """Where the features of all scenes are kept."""
        return features_folder(self.network, self.scenes, self.encode_cameras, data=self.fingerprint, folder=self.cache)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What the results depend on beside the settings."""
        name = "features" if isinstance(self.network, FeatureFile) else "checkpoint"
        return {"data": self.fingerprint, name: network_fingerprint(self.network)}

    def untrained(self, seed: int) -> "StudyInputs":
        """The same with newly initialised weights.

        Raises:
            ValueError: a file of features stands in for the network.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return replace(self, network=GQN.from_settings(self.gqn.settings()).eval())
