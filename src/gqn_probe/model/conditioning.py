"""Conditioning of a core's gates on the representation, the query's camera and the query's image.

Each class maps the three to gate pre-activations at the generator's resolution, a quarter of the image's, once
for all steps. The image enters the inference core alone. The public implementations differ here.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SCALE = 4  # image pixels along a side of one position of the generator


class Given(NamedTuple):
    """Inputs of the generator that are the same at every step."""

    representation: Float[Tensor, "b d ry rx"]
    cameras: Float[Tensor, "b p"]
    frames: Float[Tensor, "b c h w"] | None  # what the inference core sees; None for the generation core
    grid: tuple[int, int]  # height and width of the gates


class SpreadInjection(nn.Module):
    """The paper's: a learned transposed convolution spreads the camera and the pooled representation.

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

    def forward(self, given: Given) -> Float[Tensor, "b gates y x"]:
        representation = given.representation
        if self.representation is not None:
            representation = spread(self.representation, representation[:, :, 0, 0])
        maps = [spread(self.camera, given.cameras), representation]
        if given.frames is not None and self.image is not None:
            maps.insert(0, self.image(given.frames))
        return self.gates(torch.cat(maps, dim=1))


class RepeatInjection(nn.Module):
    """The released port's: camera and pooled representation are repeated at every position."""

    fixed_size = None  # any will do

    def __init__(self, *, gates: int, representation: int, camera: int, image: int, kernel: int) -> None:
        super().__init__()
        self.image = nn.Conv2d(image, image, SCALE, stride=SCALE, bias=False) if image else None
        self.gates = nn.Conv2d(image + camera + representation, gates, kernel, padding=kernel // 2)

    def forward(self, given: Given) -> Float[Tensor, "b gates y x"]:
        assert self.gates.bias is not None
        gates = convolve_repeated(self.gates.weight, self.image, given)
        return gates + self.gates.bias[:, None, None]


class ProjectInjection(nn.Module):
    """Ours: each is mapped to the gates position by position, 1/25 of the work of a 5x5 kernel."""

    fixed_size = None  # any will do

    def __init__(self, *, gates: int, representation: int, camera: int, image: int) -> None:
        super().__init__()
        self.representation = nn.Conv2d(representation, gates, kernel_size=1)
        self.camera = nn.Linear(camera, gates, bias=False)
        self.image = nn.Conv2d(image, gates, SCALE, stride=SCALE, bias=False) if image else None

    def forward(self, given: Given) -> Float[Tensor, "b gates y x"]:
        gates = self.representation(given.representation) + self.camera(given.cameras)[:, :, None, None]
        if given.frames is not None and self.image is not None:
            return gates + self.image(given.frames)
        return gates.expand(-1, -1, *given.grid)


Injection = SpreadInjection | RepeatInjection | ProjectInjection


def spread(layer: nn.ConvTranspose2d, values: Float[Tensor, "b inputs"]) -> Float[Tensor, "b outputs y x"]:
    """A transposed convolution of an image of one position is one matrix product."""
    # Bound by reading the weights once: making them bfloat16 first takes longer than the product.
    with torch.autocast(values.device.type, enabled=False):
        return torch.einsum("bi,ioyx->boyx", values.to(layer.weight), layer.weight)


def convolve_repeated(
    weight: Float[Tensor, "outputs inputs tap tap"], reduce: nn.Conv2d | None, given: Given
) -> Float[Tensor, "b outputs y x"]:
    """The "same" convolution of reduced image, camera and representation, repeated where they have no grid."""
    cameras, representation, grid = given.cameras, given.representation, given.grid
    image = reduce(given.frames) if given.frames is not None and reduce is not None else None
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
    weight: Float[Tensor, "outputs inputs tap tap"], values: Float[Tensor, "b inputs"], height: int, width: int
) -> Float[Tensor, "b outputs {height} {width}"]:
    """The "same" convolution of ``values`` spread over height x width, for 1/(height width) of the work."""
    taps = torch.einsum("oiyx,bi->boyx", weight, values)
    rows, columns = _inside(height, weight.shape[-1], taps), _inside(width, weight.shape[-1], taps)
    return torch.einsum("boyx,hy,wx->bohw", taps, rows, columns)


def convolve_with_constant(
    conv: nn.Conv2d, maps: Float[Tensor, "b stacked h w"], values: Float[Tensor, "b inputs"]
) -> Float[Tensor, "b outputs h w"]:
    """A "same" convolution of ``maps`` and, as further channels, ``values`` spread over all positions."""
    varying, constant = conv.weight.split([maps.shape[1], values.shape[1]], dim=1)
    spread = convolve_constant(constant, values, maps.shape[2], maps.shape[3])
    return F.conv2d(maps, varying, conv.bias, padding=conv.padding).add_(spread)


def _inside(size: int, kernel: int, like: Tensor) -> Float[Tensor, "size kernel"]:
    """1 where, for an output position (row), a tap of the kernel (column) lies inside the image."""
    output, tap = (torch.arange(length, device=like.device) for length in (size, kernel))
    source = output[:, None] + tap - kernel // 2
    return ((source >= 0) & (source < size)).to(like.dtype)
