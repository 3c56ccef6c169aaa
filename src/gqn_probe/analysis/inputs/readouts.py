"""Named read-out points of a view: what a probe may see of the network before views are summed.

A read-out is one function from encoded views to one array a view. Adding one is adding it to ``VIEW_READOUTS``.
"""

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

UNLEARNED = ("pixels", "cameras")  # what no network made

Readout = Callable[[Any, Float[Tensor, "n c h w"], Float[Tensor, "n p"]], Float[Tensor, " n *f"]]


def _representation(gqn: GQN, frames: Tensor, cameras: Tensor) -> Tensor:
    """What the encoder gives, as it is summed and shown to the generator: n d y x."""
    return rearrange(gqn.encode(frames[:, None], cameras[:, None]), "n 1 d y x -> n d y x")


def _pooled(gqn: GQN, frames: Tensor, cameras: Tensor) -> Tensor:
    """The representation averaged over positions, n d: what the original study probed, there shown as 16x16."""
    return reduce(_representation(gqn, frames, cameras), "n d y x -> n d", "mean")


def _unpooled(gqn: GQN, frames: Tensor, cameras: Tensor) -> Tensor:
    """The last map before any pooling, flattened."""
    maps = [layer for layer in gqn.encoder.layers(frames, cameras).values() if layer.shape[-1] > 1]
    return rearrange(maps[-1], "n d y x -> n (d y x)")


def _pixels(network: Network, frames: Tensor, cameras: Tensor) -> Tensor:
    """The image itself on a coarse grid, in 0..1."""
    return rearrange(functional.adaptive_avg_pool2d(frames, PIXEL_GRID), "n c h w -> n (c h w)")


def _cameras(network: Network, frames: Tensor, cameras: Tensor) -> Tensor:
    """The camera as the network sees it."""
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
    """The read-out called ``name``; ``layer.NAME`` is an encoder layer averaged over positions.

    Raises:
        ValueError: there is none of that name; the message lists them.
    """
    if name in VIEW_READOUTS and (isinstance(network, GQN) or name in network.readouts):
        return VIEW_READOUTS[name]
    if isinstance(network, GQN) and name in layer_names(network):
        layer = name.removeprefix("layer.")
        return lambda gqn, frames, cameras: gqn.encoder.layers(frames, cameras)[layer].mean(dim=(2, 3))
    known = readout_names(network)
    raise ValueError(f"no read-out {name!r}; {nearest(name, known)}there are {', '.join(known)}")


def readout_names(network: Network) -> list[str]:
    """Every read-out that can be probed of this network."""
    if isinstance(network, FeatureFile):
        return network.readouts
    return [name for name in VIEW_READOUTS if name != "representation"] + layer_names(network)


def layer_names(network: Network) -> list[str]:
    """``layer.NAME`` for every encoder layer, first to last."""
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
    """The read-outs of some views, in the order of ``names``."""
    return [view_readout(network, name)(network, frames, cameras).float().cpu() for name in names]
