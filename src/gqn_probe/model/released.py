"""Core of the released pretrained GQN, and the conversion of its state dict.

In the released port (Wohlert's PyTorch implementation, release 0.1) the hidden state is not concatenated to the input
of the gates but convolved to its channels and added, ``gates(input + transform(hidden))``.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.conditioning import SCALE, Conditioning, convolve_constant, convolve_repeated
from gqn_probe.model.conv_lstm import CoreSizes, GatedCore, State, core

GATES = ("forget", "input", "output", "state")  # the order of our fused convolution
LAYERS = {  # our layer: the released layers that make it up
    **{f"encoder.conv{number}": [f"representation.conv{number}"] for number in range(1, 9)},
    "generator.inference_cores.0.gates": [f"generator.inference_core.{gate}" for gate in GATES],
    "generator.inference_cores.0.transform": ["generator.inference_core.transform"],
    "generator.generation_cores.0.gates": [f"generator.generator_core.{gate}" for gate in GATES],
    "generator.generation_cores.0.transform": ["generator.generator_core.transform"],
    "generator.prior.moments": ["generator.prior_density"],
    "generator.posterior.moments": ["generator.posterior_density"],
    "generator.canvas.observe": ["generator.observation_density"],
}
RELEASED_NAMES = {  # our tensor: the released tensors that are concatenated along the first axis
    f"{ours}.{kind}": [f"{layer}.{kind}" for layer in theirs]
    for kind in ("weight", "bias")
    for ours, theirs in LAYERS.items()
}
RELEASED_NAMES["generator.canvas.up.0"] = ["generator.upsample.weight"]
RELEASED_NAMES["generator.inference_cores.0.image.weight"] = ["generator.downsample.weight"]


class ReleasedCore(GatedCore):
    """LSTM core of the released port; ``moving`` is the number of input channels that change from step to step."""

    def __init__(self, *, moving: int, hidden: int, representation: int, camera: int, image: int, kernel: int) -> None:
        super().__init__()
        self.moving = moving
        total = moving + image + camera + representation
        self.image = nn.Conv2d(image, image, SCALE, stride=SCALE, bias=False) if image else None
        self.gates = nn.Conv2d(total, 4 * hidden, kernel, padding=kernel // 2)
        self.transform = nn.Conv2d(hidden, total, kernel, padding=kernel // 2)

    def constant(self, inputs: Conditioning) -> Float[Tensor, "b gates y x"]:
        assert self.gates.bias is not None
        assert self.transform.bias is not None
        gates = convolve_repeated(self.gates.weight[:, self.moving :], self.image, inputs)
        offset = convolve_constant(self.gates.weight, self.transform.bias[None], *inputs.grid)
        return gates + offset + self.gates.bias[:, None, None]

    def pre_activations(
        self,
        constant: Float[Tensor, "b gates y x"],
        latent: Float[Tensor, "b z y x"] | None,
        others: list[Tensor],
        state: State | None,
    ) -> Float[Tensor, "b gates y x"]:
        changing = others if latent is None else [latent]
        weight, padding = self.gates.weight, self.gates.padding
        gates = constant
        if state is not None:
            transformed = F.conv2d(state.hidden, self.transform.weight, padding=padding)
            moving, rest = transformed.split([self.moving, transformed.shape[1] - self.moving], dim=1)
            joined = torch.cat([moving + torch.cat(changing, dim=1), rest], dim=1)
            gates = gates + F.conv2d(joined, weight, padding=padding)
        elif changing:
            gates = gates + F.conv2d(torch.cat(changing, dim=1), weight[:, : self.moving], padding=padding)
        return gates


@core
def released(sizes: CoreSizes) -> ReleasedCore:
    """Return the core of the released port."""
    if sizes.first:
        raise ValueError('generator core="released" has one core for all steps: set shared=true')
    moving = sizes.latent + sizes.others
    return ReleasedCore(moving=moving, hidden=sizes.hidden, kernel=sizes.kernel, **sizes.constants)


def released_settings(tensors: Mapping[str, Tensor], steps: int) -> dict[str, Any]:
    """Return the model settings of a released state dict, with sizes read from its tensors.

    The number of steps is not in the file, since all steps share their weights.
    """
    for name, value in tensors.items():
        if value.ndim != (4 if name.endswith("weight") else 1):
            raise ValueError(f"not the released model; misshapen: {name} {tuple(value.shape)}")
    channels, width = tensors["representation.conv8.weight"].shape[:2]
    common = {
        "image_channels": tensors["representation.conv1.weight"].shape[1],
        "camera_channels": tensors["representation.conv5.weight"].shape[1] - width,
    }
    hidden, canvas = tensors["generator.upsample.weight"].shape[:2]
    heads = tensors["generator.prior_density.weight"].shape
    generator = {
        "class": "Generator",
        "steps": steps,
        "representation_channels": channels,
        "pooled": True,
        "size": 64,
        "hidden_channels": hidden,
        "canvas_channels": canvas,
        "latent_channels": heads[0] // 2,
        "kernel": heads[-1],
        "shared": True,
        "canvas_input": False,
        "core": "released",
        "deviation": "softplus",
        "output": "sigmoid",
        "normalise": False,
        **common,
    }
    encoder = {"class": "Tower", "width": width, "channels": channels, "pooled": True, **common}
    return {"class": "GQN", "encoder": encoder, "generator": generator, "aggregation": "sum"}


def from_released(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a released state dict to ours, and concatenate the four gates of each core."""
    return {ours: torch.cat([tensors[name] for name in theirs]) for ours, theirs in RELEASED_NAMES.items()}
