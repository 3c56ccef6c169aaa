"""Convolutions of maps that are partly the same at every position, as a camera or a pooled representation is.

Such a map need not be formed: with zero padding, the result differs from one number a channel only where the
kernel reaches over a border, and is a sum over the kernel's taps that lie inside.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def convolve_constant(
    weight: Float[Tensor, "o i k k"], values: Float[Tensor, "b i"], height: int, width: int
) -> Float[Tensor, "b o {height} {width}"]:
    """The "same" convolution of ``values`` spread over height x width, for 1/(height width) of the work."""
    taps = torch.einsum("oiyx,bi->boyx", weight, values)
    rows, columns = _inside(height, weight.shape[-1], taps), _inside(width, weight.shape[-1], taps)
    return torch.einsum("boyx,hy,wx->bohw", taps, rows, columns)


def convolve_with_constant(
    conv: nn.Conv2d, maps: Float[Tensor, "b m h w"], values: Float[Tensor, "b i"]
) -> Float[Tensor, "b o h w"]:
    """A "same" convolution of ``maps`` and, as further channels, ``values`` spread over all positions."""
    varying, constant = conv.weight.split([maps.shape[1], values.shape[1]], dim=1)
    spread = convolve_constant(constant, values, maps.shape[2], maps.shape[3])
    return F.conv2d(maps, varying, conv.bias, padding=conv.padding).add_(spread)


def _inside(size: int, kernel: int, like: Tensor) -> Float[Tensor, "size kernel"]:
    """1 where, for an output position (row), a tap of the kernel (column) lies inside the image."""
    output, tap = (torch.arange(length, device=like.device) for length in (size, kernel))
    source = output[:, None] + tap - kernel // 2
    return ((source >= 0) & (source < size)).to(like.dtype)
