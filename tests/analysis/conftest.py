"""A tiny network, scenes, and study settings for the tests of the analysis."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_networks import small_generator
from torch import Tensor

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.probes.linear import Linear
from gqn_probe.analysis.probes.ridge import Ridge
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.controls import Control
from gqn_probe.data import encode_cameras, render_scenes
from gqn_probe.model import GQN, Tower
from gqn_probe.types import Scenes

Planted = Callable[[Tensor], StudyInputs]


@pytest.fixture
def tiny_gqn() -> GQN:
    encoder = Tower(width=4, channels=6, pooled=False)
    channels = {"representation_channels": 6, "hidden_channels": 4, "canvas_channels": 4}
    generator = small_generator(**channels, normalise=True)
    return GQN(encoder=encoder, generator=generator, aggregation="sum").eval()


@pytest.fixture(scope="session")
def rendered() -> Scenes:
    return render_scenes(24, views=6, size=16)


@pytest.fixture
def study_inputs(tiny_gqn: GQN, rendered: Scenes, tmp_path: Path) -> StudyInputs:
    return StudyInputs(
        network=tiny_gqn,
        scenes=rendered,
        encode_cameras=encode_cameras,
        fingerprint="rendered",
        cache=tmp_path / "cache",
        usable_views=5,
    )


@pytest.fixture
def planted(tiny_gqn: GQN, tmp_path: Path) -> Planted:
    """StudyInputs of as many empty scenes as there are rows of planted features."""

    def make(features: Tensor) -> StudyInputs:
        scenes = Scenes(torch.zeros(len(features), 16, 3, 4, 4, dtype=torch.uint8), torch.zeros(len(features), 16, 5))
        return StudyInputs(tiny_gqn, scenes, encode_cameras, "planted", tmp_path / "cache", usable_views=15)

    return make


LINEAR = Linear(epochs=20, l2=(1e-5, 1e-3, 1e-1))
CONTROLS = {
    "none": Control("r"),
    "norm": Control("length", transform="norm"),
    "direction": Control("direction", transform="direction"),
    "shuffled": Control("shuffled counts", labels="shuffled"),
    "control_task": Control("label an object", labels="object_label", split="row"),
    "row_split": Control("rows split", split="row"),
    "repeated": Control("one view", source="repeated"),
    "transfer": Control("mixtures", source="incoherent", trained_on="nested"),
    "untrained": Control("untrained", encoder="untrained"),
    "pixels": Control("pixels", input="pixels"),
}


@pytest.fixture
def settings() -> StudySettings:
    """A quick study of everything; tests replace what they are about."""
    return StudySettings(
        protocol="study",
        objects=24,
        seeds=5,
        seed=0,
        inputs=("pooled",),
        axes=64,
        targets=("count",),
        labels=None,
        probes={"linear": LINEAR, "ridge": Ridge(l2=(1e-4, 1e-2))},
        controls="all",
        control=CONTROLS,
        reconstruct=3,
        samples=2,
        show=2,
        permutations=100,
        untrained=2,
        strengths=(1e-4, 1e-2, 1.0, 1e2, 1e4),
        widths=(1.0,),
        memory_gb=1.0,
        train_objects=(10,),
    )
