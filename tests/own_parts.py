"""Parts as users write them outside the package: an encoder, a generator core, a target, a transform, a figure."""

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from gqn_probe.analysis.inputs.view_selection import Selection
from gqn_probe.analysis.questions.targets import Classes
from gqn_probe.data.store.store_reader import SceneSource
from gqn_probe.model import Encoder
from gqn_probe.model.conditioning import Conditioning
from gqn_probe.model.conv_lstm import CoreSizes, GatedCore, State
from gqn_probe.report.study_results import Study


class Patches(Encoder):
    """One convolution of patches without overlap."""

    pooled = False

    def __init__(self, *, channels: int, image_channels: int = 3, camera_channels: int = 7) -> None:
        super().__init__()
        self.channels, self.camera_channels = channels, camera_channels
        self.patches = nn.Conv2d(image_channels, channels, kernel_size=4, stride=4)

    def layers(self, frames: Tensor, cameras: Tensor) -> dict[str, Tensor]:
        return {"patches": self.patches(frames).relu()}


class Pointwise(GatedCore):
    """Gates by 1x1 convolutions of r and of its own state alone."""

    def __init__(self, sizes: CoreSizes) -> None:
        super().__init__()
        self.given = nn.Conv2d(sizes.representation, 4 * sizes.hidden, 1)
        self.read = nn.Conv2d(sizes.hidden, 4 * sizes.hidden, 1)

    def constant(self, inputs: Conditioning) -> Tensor:
        return self.given(inputs.representation)

    def pre_activations(self, constant: Tensor, latent: Tensor | None, others: list, state: State | None) -> Tensor:
        return constant if state is None else constant + self.read(state.hidden)


def pointwise(sizes: CoreSizes) -> Pointwise:
    return Pointwise(sizes)


def redness(scenes: SceneSource, views: Selection) -> Classes:
    assert scenes.factors is not None
    return Classes((scenes.factors.colors[:, 0, 0] > 0.5).long(), 2)


def rounded(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    return r.round()


def own_figure(study: Study) -> Figure:
    figure = Figure()
    figure.add_subplot().set_title(study.probe)
    return figure
