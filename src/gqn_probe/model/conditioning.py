"""Injections: how representation, query camera and query image enter the gates of a core.

Each class maps the three to gate pre-activations at the generator's resolution, a quarter of the image's, once for all
steps. Only the inference core sees the image. Public implementations of the GQN differ here.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SCALE = 4  # image pixels along each side of a position of the generator's states


class Conditioning(NamedTuple):
    """Inputs of a core that are the same at every step."""

    representation: Float[Tensor, "b d ry rx"]
    cameras: Float[Tensor, "b p"]
    frames: Float[Tensor, "b c h w"] | None  # query images in 0..1 for the inference core; None for the generation core
    grid: tuple[int, int]  # height and width of the gates


class SpreadInjection(nn.Module):
    """Injection of the paper: transposed convolutions spread camera and pooled representation over the grid.

    Eslami et al. 2018, supplement, figure S2. ``size`` is the height and width of the images.
    """

    def __init__(
        self,
        *,
        gates: int,
        representation: int,
        camera: int,
        image: int,
        kernel: int,
        pooled: bool,
        size: int,
    ) -> None:
        super().__init__()
        self.fixed_size = size
        grid = size // SCALE
        self.representation = nn.ConvTranspose2d(representation, representation, grid, bias=False) if pooled else None
        self.camera = nn.ConvTranspose2d(camera, camera, grid, bias=False)
        self.image = nn.Conv2d(image, image, SCALE, stride=SCALE, bias=False) if image else None
        self.gates = nn.Conv2d(image + camera + representation, gates, kernel, padding=kernel // 2)

    def forward(self, inputs: Conditioning) -> Float[Tensor, "b gates y x"]:
        representation = inputs.representation
        if self.representation is not None:
            representation = spread(self.representation, representation[:, :, 0, 0])
        maps = [spread(self.camera, inputs.cameras), representation]
        if inputs.frames is not None and self.image is not None:
            maps.insert(0, self.image(inputs.frames))
        return self.gates(torch.cat(maps, dim=1))


class RepeatInjection(nn.Module):
    """Injection of the released port: camera and pooled representation are repeated at every position."""

    fixed_size = None  # takes images of any size

    def __init__(self, *, gates: int, representation: int, camera: int, image: int, kernel: int) -> None:
        super().__init__()
        self.image = nn.Conv2d(image, image, SCALE, stride=SCALE, bias=False) if image else None
        self.gates = nn.Conv2d(image + camera + representation, gates, kernel, padding=kernel // 2)

    def forward(self, inputs: Conditioning) -> Float[Tensor, "b gates y x"]:
        assert self.gates.bias is not None
        gates = convolve_repeated(self.gates.weight, self.image, inputs)
        return gates + self.gates.bias[:, None, None]


class ProjectInjection(nn.Module):
    """Injection by position-wise linear maps to the gates: 1/25 of the work of a 5x5 kernel."""

    fixed_size = None  # takes images of any size

    def __init__(self, *, gates: int, representation: int, camera: int, image: int) -> None:
        super().__init__()
        self.representation = nn.Conv2d(representation, gates, kernel_size=1)
        self.camera = nn.Linear(camera, gates, bias=False)
        self.image = nn.Conv2d(image, gates, SCALE, stride=SCALE, bias=False) if image else None

    def forward(self, inputs: Conditioning) -> Float[Tensor, "b gates y x"]:
        gates = self.representation(inputs.representation) + self.camera(inputs.cameras)[:, :, None, None]
        if inputs.frames is not None and self.image is not None:
            return gates + self.image(inputs.frames)
        return gates.expand(-1, -1, *inputs.grid)


Injection = SpreadInjection | RepeatInjection | ProjectInjection


def spread(layer: nn.ConvTranspose2d, values: Float[Tensor, "b in_channels"]) -> Float[Tensor, "b out_channels y x"]:
    """Apply a transposed convolution to maps of one position, which is one matrix product."""
    # The product is bound by reading the weights: casting them to bfloat16 first would take longer.
    with torch.autocast(values.device.type, enabled=False):
        return torch.einsum("bi,ioyx->boyx", values.to(layer.weight), layer.weight)


def convolve_repeated(
    weight: Float[Tensor, "out_channels in_channels tap tap"], reduce: nn.Conv2d | None, inputs: Conditioning
) -> Float[Tensor, "b out_channels y x"]:
    """Return the "same" convolution of reduced image, camera and representation; those without a grid are repeated."""
    cameras, representation, grid = inputs.cameras, inputs.representation, inputs.grid
    image = reduce(inputs.frames) if inputs.frames is not None and reduce is not None else None
    channels = [0 if image is None else image.shape[1], cameras.shape[1], representation.shape[1]]
    of_image, of_camera, of_representation = weight.split(channels, dim=1)
    padding = weight.shape[-1] // 2
    gates = convolve_constant(of_camera, cameras, *grid)
    if representation.shape[-2:] == (1, 1):
        gates = gates + convolve_constant(of_representation, representation[:, :, 0, 0], *grid)
    else:
        gates = gates + F.conv2d(representation, of_representation, padding=padding)
    return gates if image is None else gates + F.conv2d(image, of_image, padding=padding)


def convolve_constant(
    weight: Float[Tensor, "out_channels in_channels tap tap"],
    values: Float[Tensor, "b in_channels"],
    height: int,
    width: int,
) -> Float[Tensor, "b out_channels {height} {width}"]:
    """Return the "same" convolution of ``values`` repeated over height x width, at 1/(height width) of the work."""
    taps = torch.einsum("oiyx,bi->boyx", weight, values)
    rows, columns = _inside(height, weight.shape[-1], taps), _inside(width, weight.shape[-1], taps)
    return torch.einsum("boyx,hy,wx->bohw", taps, rows, columns)


def convolve_with_constant(
    conv: nn.Conv2d, maps: Float[Tensor, "b stacked h w"], values: Float[Tensor, "b in_channels"]
) -> Float[Tensor, "b out_channels h w"]:
    """Return the "same" convolution of ``maps`` with ``values``, repeated over all positions, as further channels."""
    varying, constant = conv.weight.split([maps.shape[1], values.shape[1]], dim=1)
    spread = convolve_constant(constant, values, maps.shape[2], maps.shape[3])
    return F.conv2d(maps, varying, conv.bias, padding=conv.padding).add_(spread)


def _inside(size: int, kernel: int, like: Tensor) -> Float[Tensor, "size kernel"]:
    """Return 1 where, for an output position (row), a tap of the kernel (column) lies inside the image, else 0."""
    output, tap = (torch.arange(length, device=like.device) for length in (size, kernel))
    source = output[:, None] + tap - kernel // 2
    return ((source >= 0) & (source < size)).to(like.dtype)
