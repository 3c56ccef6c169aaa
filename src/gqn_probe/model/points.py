"""Scene encoder whose representation is a set of S points in space with d channels each.

Each point gathers a non-negative code from a view along the rays that pass near it; r is the plain sum of the codes
over views. A query reads the points along its own rays. In a map of image positions, the same cell of two views shows
different places; a point in space is one place in all views. Attention with geometry in its logits: Tobin & Abbeel
2019, "Geometry-aware neural rendering" (epipolar attention); a set of tokens read by rays: Sajjadi et al. 2022, "Scene
representation transformer".
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.attention import RayAttention, SelfAttention, attend, join_heads, log_spread, split_heads
from gqn_probe.model.encoders import Encoder
from gqn_probe.model.input_spec import InputSpec
from gqn_probe.model.rays import RayCaster, Rays, point_features, ray_features

SCALE = 4  # image pixels along each side of a ray's cell


class Points(Encoder):
    """Encoder to points in space, read by cross-attention from a query's rays.

    Takes frames of any height and width divisible by 4. ``adapt`` sets lens and background colour, which is subtracted
    from every frame, from the data; both are stored with the weights.

    Args:
        points: S, the number of points.
        channels: d, channels of a point in the representation.
        width: channels of all other layers, and of the generator's input.
        heads: attention heads, each with a sharpness of its own.
        blocks: number of self-attention blocks over the points of a scene.
        looks: number of cross-attention blocks from a query's rays to the points.
        sharpness: smallest and largest initial weight, over heads, of the squared distance in radii of the scene.
    """

    pooled = False
    any_size = True
    reader_layers = ("points", "map")

    def __init__(
        self,
        *,
        points: int,
        channels: int,
        width: int,
        heads: int,
        blocks: int,
        looks: int,
        sharpness: list[float],
        image_channels: int = 3,
        camera_channels: int = 7,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"points width={width} must be a multiple of heads={heads}")
        if len(sharpness) != 2 or min(sharpness) <= 0:
            raise ValueError(f"points sharpness={sharpness} must be two numbers above 0")
        if camera_channels != 7:
            raise ValueError(f"points need cameras of 7 numbers to cast rays, got camera_channels={camera_channels}")
        self.channels, self.camera_channels = channels, camera_channels
        self.rays = RayCaster()
        self.register_buffer("background", torch.full((image_channels,), 0.5))
        self.places = nn.Parameter(evenly_in_ball(points))
        common = {"points": points, "channels": channels, "width": width, "heads": heads}
        self.gather = Gather(**common, sharpness=sharpness, image_channels=image_channels)
        self.reader = Reader(**common, sharpness=sharpness, blocks=blocks, looks=looks)

    background: Tensor

    @torch.no_grad()
    def adapt(self, data: InputSpec) -> None:
        """Set lens, camera order and background from the data; spread the points over a scene's box if it has one."""
        if data.lens is not None:
            self.rays.use(data.lens, data.camera_order or "cos_sin")
            if data.lens.box is not None:
                edges = self.places.new_tensor(data.lens.box) / data.lens.radius
                self.places.copy_(edges * evenly_in_cube(len(self.places)))
        if data.background is not None:
            self.background.copy_(torch.tensor(data.background))

    def layers(self, frames: Float[Tensor, "n c h w"], cameras: Float[Tensor, "n p"]) -> dict[str, Tensor]:
        """Return activations by layer: stem ``conv1`` to ``conv3``, attended values ``gathered``, codes ``points``."""
        frames = frames - self.background[:, None, None]
        grid = frames.shape[-2] // SCALE, frames.shape[-1] // SCALE
        return self.gather.layers(frames, self.rays(cameras, grid), self.places)

    def query_features(
        self, representation: Float[Tensor, "b d point 1"], cameras: Float[Tensor, "n p"], grid: tuple[int, int]
    ) -> Float[Tensor, "n width y x"]:
        """Return for each query the map of what its rays read from the points."""
        return self.reader_features(representation, cameras, grid)["map"]

    def reader_features(
        self, representation: Float[Tensor, "b d point 1"], cameras: Float[Tensor, "n p"], grid: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Return the reader's ``points`` (b width S 1), one set a scene, and ``map`` (n width y x), one a query."""
        return self.reader(representation, self.rays(cameras, grid), self.places, grid)


class Gather(nn.Module):
    """Codes of points from one view: attention over rays, near ones first, to convolutional features and colours."""

    def __init__(
        self, *, points: int, channels: int, width: int, heads: int, sharpness: list[float], image_channels: int
    ) -> None:
        super().__init__()
        self.heads = heads
        self.conv1 = nn.Conv2d(image_channels, width // 2, kernel_size=4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(width // 2, width, kernel_size=4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.value = nn.Linear(width + 4 * image_channels, width)  # features of the stem, colours of a cell's quarters
        self.log_sharpness = nn.Parameter(log_spread(sharpness, heads))
        self.where = nn.Linear(7, width)  # position of a point, direction of view, depth in that direction
        self.mix = nn.Linear(width, width)
        self.output = nn.Linear(width, channels)
        self.linear_path = nn.Linear(width, channels, bias=False)  # without it, learning takes many times as long

    def layers(
        self, frames: Float[Tensor, "n c h w"], rays: Rays, places: Float[Tensor, "point 3"]
    ) -> dict[str, Float[Tensor, "n channels y x"]]:
        readouts: dict[str, Tensor] = {}
        frames = frames.contiguous(memory_format=torch.channels_last)
        readouts["conv1"] = F.relu(self.conv1(frames))
        readouts["conv2"] = F.relu(self.conv2(readouts["conv1"]))
        readouts["conv3"] = F.relu(self.conv3(readouts["conv2"]))
        value = split_heads(self._values(frames, readouts["conv3"]).float(), self.heads)

        query = -self.log_sharpness.exp()[:, None, None] * point_features(places)
        key = ray_features(rays)[:, None]
        sizes = len(frames), self.heads
        gathered = join_heads(attend(query.expand(*sizes, -1, -1), key.expand(*sizes, -1, -1), value))
        readouts["gathered"] = rearrange(gathered, "n s w -> n w s 1")

        hidden = F.relu(gathered + self._where(rays, places))
        code = self.linear_path(gathered) + self.output(F.relu(self.mix(hidden)))
        readouts["points"] = rearrange(F.relu(code), "n s d -> n d s 1")
        return readouts

    def _values(
        self, frames: Float[Tensor, "n c h w"], stem: Float[Tensor, "n channels y x"]
    ) -> Float[Tensor, "n cell channels"]:
        """Apply ``value`` to the stem's features and twice the mean colours of each cell's quarters.

        A mean over quarters followed by a linear layer is one convolution with equal taps within each quarter.
        """
        of_stem, of_colors = self.value.weight.split([stem.shape[1], self.value.in_features - stem.shape[1]], dim=1)
        half = SCALE // 2
        taps = repeat(of_colors, "k (c y x) -> k c (y i) (x j)", y=2, x=2, i=half, j=half) * (2 / half**2)
        colors = F.conv2d(frames, taps, self.value.bias, stride=SCALE)
        values = F.linear(rearrange(stem, "n k y x -> n (y x) k"), of_stem)
        return values + rearrange(colors, "n k y x -> n (y x) k")

    def _where(self, rays: Rays, places: Float[Tensor, "point 3"]) -> Float[Tensor, "n point channels"]:
        """Apply ``where`` to each point in each view, without concatenating its inputs."""
        place, direction, depth = self.where.weight.split([3, 3, 1], dim=1)
        in_front = (rays.forward @ places.T) - (rays.forward * rays.eye).sum(dim=1, keepdim=True)
        of_place, of_view = F.linear(places, place, self.where.bias), F.linear(rays.forward, direction)
        return of_place + of_view[:, None] + in_front[..., None] * depth[:, 0]


class Reader(nn.Module):
    """Self-attention over the points of a scene, once, then cross-attention from the rays of its queries."""

    def __init__(
        self,
        *,
        points: int,
        channels: int,
        width: int,
        heads: int,
        sharpness: list[float],
        blocks: int,
        looks: int,
    ) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, points)
        self.code = nn.Linear(channels + 3, width)  # code and position of a point
        self.blocks = nn.ModuleList(SelfAttention(width=width, heads=heads) for _ in range(blocks))
        self.ray = nn.Linear(9, width)
        self.looks = nn.ModuleList(RayAttention(width=width, heads=heads, sharpness=sharpness) for _ in range(looks))

    def forward(
        self,
        representation: Float[Tensor, "b d point 1"],
        rays: Rays,
        places: Float[Tensor, "point 3"],
        grid: tuple[int, int],
    ) -> dict[str, Tensor]:
        scenes = len(representation)
        points = self.norm(rearrange(representation, "b d s 1 -> b s d"))
        of_code, of_place = self.code.weight.split([points.shape[-1], 3], dim=1)
        points = F.linear(points, of_code) + F.linear(places, of_place, self.code.bias)
        for block in self.blocks:
            points = block(points)

        features = torch.cat([ray_features(rays), rays.direction], dim=-1)
        features = rearrange(features, "(b q) g a -> b (q g) a", b=scenes)
        distance = rays.origin.norm(dim=-1, keepdim=True)
        tokens = self.ray(torch.cat([rays.origin, rays.direction, rays.direction * distance], dim=-1))
        tokens = rearrange(tokens, "(b q) g w -> b (q g) w", b=scenes)
        for look in self.looks:
            tokens = look(tokens, features, points, places)
        seen = rearrange(tokens, "b (q y x) w -> (b q) w y x", y=grid[0], x=grid[1])
        return {"points": rearrange(points, "b s w -> b w s 1"), "map": seen}


def evenly_in_ball(points: int, radius: float = 0.95) -> Float[Tensor, "{points} 3"]:
    """Return points evenly distributed in a ball: Fibonacci directions, equal volumes in golden-ratio order."""
    index = torch.arange(points, dtype=torch.float64) + 0.5
    height = 1 - 2 * index / points
    azimuth = math.pi * (1 + math.sqrt(5)) * index
    distance = radius * (index * (math.sqrt(5) - 1) / 2 % 1) ** (1 / 3)
    flat = (1 - height**2).sqrt()
    direction = torch.stack([flat * azimuth.cos(), flat * azimuth.sin(), height], dim=-1)
    return (distance[:, None] * direction).float()


def evenly_in_cube(points: int) -> Float[Tensor, "{points} 3"]:
    """Return points evenly distributed in the cube from -1 to 1: Roberts' additive recurrence R3."""
    root = 1.2207440846057596  # of x^4 = x + 1
    steps = torch.tensor([root**-1, root**-2, root**-3], dtype=torch.float64)
    return (2 * ((0.5 + steps * torch.arange(1, points + 1)[:, None]) % 1) - 1).float()
