"""Read-out points of single views, by name: functions of the network, its images and cameras (``VIEW_READOUTS``)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from gqn_probe.analysis.inputs.feature_file import FeatureFile, Network
from gqn_probe.choices import nearest
from gqn_probe.model import GQN

PIXEL_GRID = 8  # pixels are averaged down to this many rows and columns

UNLEARNED = ("pixels", "cameras")  # read-outs of the stimuli, not of the network

Readout = Callable[[Any, Float[Tensor, "n c h w"], Float[Tensor, "n p"]], Float[Tensor, " n *f"]]


def _representation(gqn: GQN, frames: Tensor, cameras: Tensor) -> Tensor:
    """Return the representation of each view, n d y x, whose sum r the generator is conditioned on."""
    return rearrange(gqn.encode(frames[:, None], cameras[:, None]), "n 1 d y x -> n d y x")


def _pooled(gqn: GQN, frames: Tensor, cameras: Tensor) -> Tensor:
    """Return the representation averaged over positions, n d; the original study showed its 256 numbers as 16x16."""
    return reduce(_representation(gqn, frames, cameras), "n d y x -> n d", "mean")


def _unpooled(gqn: GQN, frames: Tensor, cameras: Tensor) -> Tensor:
    """Return the last feature map before pooling, flattened."""
    maps = [layer for layer in gqn.encoder.layers(frames, cameras).values() if layer.shape[-1] > 1]
    return rearrange(maps[-1], "n d y x -> n (d y x)")


def _pixels(network: Network, frames: Tensor, cameras: Tensor) -> Tensor:
    """Return the image averaged down to 8x8 pixels, 0..1."""
    return rearrange(functional.adaptive_avg_pool2d(frames, PIXEL_GRID), "n c h w -> n (c h w)")


def _cameras(network: Network, frames: Tensor, cameras: Tensor) -> Tensor:
    """Return the encoded camera."""
    return cameras


VIEW_READOUTS: dict[str, Readout] = {
    "whole": _representation,
    "pooled": _pooled,
    "unpooled": _unpooled,
    "representation": _representation,
    "pixels": _pixels,
    "cameras": _cameras,
}


def view_readout(network: Network, name: str) -> Readout:
    """Return the read-out of that name; ``layer.NAME`` is an encoder layer averaged over positions.

    Raises:
        ValueError: the name is unknown; the message lists the known ones.
    """
    if name in VIEW_READOUTS and (isinstance(network, GQN) or name in network.readouts):
        return VIEW_READOUTS[name]
    if isinstance(network, GQN) and name in layer_names(network):
        layer = name.removeprefix("layer.")
        return lambda gqn, frames, cameras: gqn.encoder.layers(frames, cameras)[layer].mean(dim=(2, 3))
    known = readout_names(network)
    raise ValueError(f"no read-out {name!r}; {nearest(name, known)}there are {', '.join(known)}")


def readout_names(network: Network) -> list[str]:
    """Return the names of all per-view read-outs of a network."""
    if isinstance(network, FeatureFile):
        return network.readouts
    return [name for name in VIEW_READOUTS if name != "representation"] + layer_names(network)


def layer_names(network: Network) -> list[str]:
    """Return ``layer.NAME`` for every encoder layer, first to last."""
    if isinstance(network, FeatureFile):
        return [name for name in network.readouts if name.startswith("layer.")]
    encoder = network.encoder
    size = network.generator.size or 64
    with torch.no_grad():
        device = next(encoder.parameters()).device
        points = encoder.layers(
            torch.zeros(1, 3, size, size, device=device),
            torch.zeros(1, encoder.camera_channels, device=device),
        )
    return [f"layer.{name}" for name in points]


@torch.no_grad()
def read_views(
    network: Network, names: Sequence[str], frames: Float[Tensor, "n c h w"], cameras: Float[Tensor, "n p"]
) -> list[Tensor]:
    """Compute the read-outs of a batch of views, in the order of ``names``."""
    return [view_readout(network, name)(network, frames, cameras).float().cpu() for name in names]
