"""Scene encoders f(x, v): map a frame and its camera to a non-negative representation, which is summed over views.

Tower, pool (the tower averaged over positions) and pyramid: Eslami et al. 2018, supplement, figure S1.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.conditioning import convolve_with_constant
from gqn_probe.model.configured import Configured
from gqn_probe.model.input_spec import InputSpec


class Encoder(Configured):
    """Base class of scene encoders.

    A subclass registers itself under its class name, by which files of weights refer to it, and implements ``layers``.
    """

    channels: int  # channels of the representation
    camera_channels: int
    pooled: bool  # the representation has one position; otherwise the generator's grid
    fixed_size: int | None = None  # height and width of the only frames that the encoder takes
    any_size: bool = False  # weights trained on frames of one size apply to other sizes
    reader_layers: tuple[str, ...] = ()  # names in ``reader_features``

    def layers(self, frames: Float[Tensor, "n c h w"], cameras: Float[Tensor, "n p"]) -> dict[str, Tensor]:
        """Return activations by layer, ``n channels height width``, in order; the last is the representation."""
        raise NotImplementedError

    def forward(self, frames: Float[Tensor, "n c h w"], cameras: Float[Tensor, "n p"]) -> Float[Tensor, "n d y x"]:
        """Return the representation of each frame (0..1) with its camera; non-negative, after a final ReLU."""
        return list(self.layers(frames, cameras).values())[-1]

    def query_features(
        self, representation: Float[Tensor, "b d y x"], cameras: Float[Tensor, "n p"], grid: tuple[int, int]
    ) -> Float[Tensor, "n width y x"]:
        """Return what the generator is conditioned on for each query camera; by default the representation itself.

        Of n queries of b scenes, each n / b consecutive ones belong to one scene. ``grid`` is the height and width of
        the generator's states.
        """
        return representation.repeat_interleave(len(cameras) // len(representation), dim=0)

    def reader_features(
        self, representation: Float[Tensor, "b d y x"], cameras: Float[Tensor, "n p"], grid: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Return activations between representation and generator by name, one a scene or one a query; {} if none."""
        return {}

    def image_size(self, representation: Float[Tensor, "b d y x"]) -> tuple[int, int] | None:
        """Return height and width of the encoded frames, or None if the representation does not determine them."""
        return None

    def adapt(self, data: InputSpec) -> None:
        """Set constants that depend on the data, such as the lens, before training; does nothing by default."""


class Tower(Encoder):
    """Tower: two convolutional blocks with skip connections, to a quarter of the image's size.

    The camera is concatenated at the second block.

    Args:
        width: channels inside (the paper: 256).
        channels: channels of the representation (the paper: 256).
        pooled: average over positions (the paper's "pool"); otherwise the representation has h/4 x w/4 positions.
    """

    def __init__(
        self,
        *,
        width: int,
        channels: int,
        pooled: bool,
        image_channels: int = 3,
        camera_channels: int = 7,
    ) -> None:
        super().__init__()
        self.pooled, self.channels, self.camera_channels = pooled, channels, camera_channels
        joined = width + camera_channels
        self.conv1 = nn.Conv2d(image_channels, width, kernel_size=2, stride=2)
        self.conv2 = nn.Conv2d(width, width, kernel_size=2, stride=2)
        self.conv3 = nn.Conv2d(width, width // 2, kernel_size=3, padding=1)
        self.conv4 = nn.Conv2d(width // 2, width, kernel_size=2, stride=2)
        self.conv5 = nn.Conv2d(joined, width, kernel_size=3, padding=1)
        self.conv6 = nn.Conv2d(joined, width // 2, kernel_size=3, padding=1)
        self.conv7 = nn.Conv2d(width // 2, width, kernel_size=3, padding=1)
        self.conv8 = nn.Conv2d(width, channels, kernel_size=1)

    def layers(self, frames: Float[Tensor, "n c h w"], cameras: Float[Tensor, "n p"]) -> dict[str, Tensor]:
        """Return activations by layer, after ReLU and skip connection, ``n channels height width``."""
        points: dict[str, Tensor] = {}
        # Channels last, these convolutions take a tenth to a quarter less time; those of the generator gain nothing.
        frames = frames.contiguous(memory_format=torch.channels_last)
        points["conv1"] = F.relu_(self.conv1(frames))
        points["conv2"] = F.relu_(self.conv2(points["conv1"]))
        points["conv3"] = F.relu_(self.conv3(points["conv1"]))
        points["conv4"] = F.relu_(self.conv4(points["conv3"])) + points["conv2"]
        points["conv5"] = F.relu_(convolve_with_constant(self.conv5, points["conv4"], cameras))
        points["conv6"] = F.relu_(convolve_with_constant(self.conv6, points["conv4"], cameras))
        points["conv7"] = F.relu_(self.conv7(points["conv6"])) + points["conv5"]
        # Not channels last: the gradient of a 1x1 kernel would have strides that DDP warns of.
        points["conv8"] = F.relu_(self.conv8(points["conv7"].contiguous()))
        if self.pooled:
            points["pool"] = points["conv8"].mean(dim=(2, 3), keepdim=True)
        return points

    def image_size(self, representation: Float[Tensor, "b d y x"]) -> tuple[int, int] | None:
        height, width = representation.shape[-2:]
        return None if self.pooled else (4 * height, 4 * width)


class Pyramid(Encoder):
    """Four strided convolutions of the image and the camera, down to one position.

    Args:
        channels: channels of the representation (the paper: 256); the layers before have 1/8, 1/4 and 1/2.
        size: height and width of the images (the paper: 64).
    """

    pooled = True  # one position

    def __init__(self, *, channels: int, size: int, image_channels: int = 3, camera_channels: int = 7) -> None:
        super().__init__()
        self.fixed_size = size
        self.channels, self.image_channels, self.camera_channels = channels, image_channels, camera_channels
        first, second, third = channels // 8, channels // 4, channels // 2
        self.conv1 = nn.Conv2d(image_channels + camera_channels, first, kernel_size=2, stride=2)
        self.conv2 = nn.Conv2d(first, second, kernel_size=2, stride=2)
        self.conv3 = nn.Conv2d(second, third, kernel_size=2, stride=2)
        self.conv4 = nn.Conv2d(third, channels, kernel_size=size // 8)

    def layers(self, frames: Float[Tensor, "n c h w"], cameras: Float[Tensor, "n p"]) -> dict[str, Tensor]:
        """Return activations by layer, after ReLU, ``n channels height width``."""
        points: dict[str, Tensor] = {}
        # The first convolution has no padding, so the camera, equal at all positions, adds one number to each channel.
        image, camera = self.conv1.weight.split([self.image_channels, self.camera_channels], dim=1)
        shift = torch.einsum("oiyx,ni->no", camera, cameras)[..., None, None]
        points["conv1"] = F.relu_(F.conv2d(frames, image, self.conv1.bias, stride=2) + shift)
        points["conv2"] = F.relu_(self.conv2(points["conv1"]))
        points["conv3"] = F.relu_(self.conv3(points["conv2"]))
        points["conv4"] = F.relu_(self.conv4(points["conv3"]))
        return points
