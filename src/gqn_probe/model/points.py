"""A scene's representation as learned points in space, gathered along the pixels' rays and read along the query's.

r is S points of d channels, and still a plain sum over views of non-negative codes (final ReLU). In a map of image
positions, a cell of one view has nothing to do with the same cell of another; a point in space has. Attention with
geometry in its logits is that of epipolar attention (Tobin & Abbeel 2019, "Geometry-aware neural rendering"); tokens
of a set read by rays are the scene representation transformer's (Sajjadi et al. 2022).
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.attention import Look, SelfAttention, attend, join_heads, log_spread, split_heads
from gqn_probe.model.encoders import Encoder
from gqn_probe.model.input_spec import InputSpec
from gqn_probe.model.rays import RayCaster, Rays, point_features, ray_features

SCALE = 4  # image pixels along a side of the cell that one ray stands for


class Points(Encoder):
    """Views to codes of points in space, and what a query's rays see of their sum.

    Frames of any height and width divisible by 4 will do. The lens, and the colour of the background, which is
    subtracted from every frame, are measured from the data (``adapt``) and kept with the weights.

    Args:
        points: S, their number.
        channels: d, numbers of a point in the representation.
        width: channels of everything else; the generator sees so many.
        heads: of attention, each with a sharpness of its own.
        blocks: of self-attention over the points of a scene.
        looks: how often a query's rays look at the points.
        sharpness: least and greatest weight of the squared distance (in radii of the scene) at the start, over heads.
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
        """Take over lens, camera order and background of the data; a scene with a box gets its points all over it."""
        if data.lens is not None:
            self.rays.use(data.lens, data.camera_order or "cos_sin")
            if data.lens.box is not None:
                edges = self.places.new_tensor(data.lens.box) / data.lens.radius
                self.places.copy_(edges * evenly_in_cube(len(self.places)))
        if data.background is not None:
            self.background.copy_(torch.tensor(data.background))

    def layers(self, frames: Float[Tensor, "n c h w"], cameras: Float[Tensor, "n p"]) -> dict[str, Tensor]:
        """``conv1`` to ``conv3`` of the stem, ``gathered`` values of each point, and ``points``: n channels y x."""
        frames = frames - self.background[:, None, None]
        grid = frames.shape[-2] // SCALE, frames.shape[-1] // SCALE
        return self.gather.layers(frames, self.rays(cameras, grid), self.places)

    def look(
        self, representation: Float[Tensor, "b d point 1"], cameras: Float[Tensor, "n p"], grid: tuple[int, int]
    ) -> Float[Tensor, "n width y x"]:
        """The map of what the rays of each query see; consecutive queries are of one scene."""
        return self.read(representation, cameras, grid)["map"]

    def read(
        self, representation: Float[Tensor, "b d point 1"], cameras: Float[Tensor, "n p"], grid: tuple[int, int]
    ) -> dict[str, Tensor]:
        """The reader's ``points`` (b w s 1), once a scene, and the ``map`` that each query sees (n w y x)."""
        return self.reader(representation, self.rays(cameras, grid), self.places, grid)


class Gather(nn.Module):
    """Code of each point from a view: attention to a stem's features and the colours, along the rays that pass near."""

    def __init__(
        self, *, points: int, channels: int, width: int, heads: int, sharpness: list[float], image_channels: int
    ) -> None:
        super().__init__()
        self.heads = heads
        self.conv1 = nn.Conv2d(image_channels, width // 2, kernel_size=4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(width // 2, width, kernel_size=4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.value = nn.Linear(width + 4 * image_channels, width)  # of the stem, and the colours of a cell's quarters
        self.log_sharpness = nn.Parameter(log_spread(sharpness, heads))
        self.where = nn.Linear(7, width)  # of a point's place, the direction of view, and its depth in that direction
        self.mix = nn.Linear(width, width)
        self.output = nn.Linear(width, channels)
        self.linear_path = nn.Linear(width, channels, bias=False)  # without it, learning is many times slower

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
        """``value`` of the stem's features beside twice the mean colours of each cell's quarters, without the latter.

        A mean over a quarter, then a linear layer, is one convolution whose taps are equal within each quarter.
        """
        of_stem, of_colors = self.value.weight.split([stem.shape[1], self.value.in_features - stem.shape[1]], dim=1)
        half = SCALE // 2
        taps = repeat(of_colors, "k (c y x) -> k c (y i) (x j)", y=2, x=2, i=half, j=half) * (2 / half**2)
        colors = F.conv2d(frames, taps, self.value.bias, stride=SCALE)
        values = F.linear(rearrange(stem, "n k y x -> n (y x) k"), of_stem)
        return values + rearrange(colors, "n k y x -> n (y x) k")

    def _where(self, rays: Rays, places: Float[Tensor, "point 3"]) -> Float[Tensor, "n point channels"]:
        """``where`` of each point in each view, without forming its inputs side by side."""
        place, direction, depth = self.where.weight.split([3, 3, 1], dim=1)
        in_front = (rays.forward @ places.T) - (rays.forward * rays.eye).sum(dim=1, keepdim=True)
        of_place, of_view = F.linear(places, place, self.where.bias), F.linear(rays.forward, direction)
        return of_place + of_view[:, None] + in_front[..., None] * depth[:, 0]


class Reader(nn.Module):
    """The points of a scene, put in relation to each other once, then seen along the rays of its queries."""

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
        self.code = nn.Linear(channels + 3, width)  # of a point's code and place
        self.blocks = nn.ModuleList(SelfAttention(width=width, heads=heads) for _ in range(blocks))
        self.ray = nn.Linear(9, width)
        self.looks = nn.ModuleList(Look(width=width, heads=heads, sharpness=sharpness) for _ in range(looks))

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
    """Places all over a ball: Fibonacci directions, radii of equal volumes in a golden-ratio order."""
    index = torch.arange(points, dtype=torch.float64) + 0.5
    height = 1 - 2 * index / points
    azimuth = math.pi * (1 + math.sqrt(5)) * index
    distance = radius * (index * (math.sqrt(5) - 1) / 2 % 1) ** (1 / 3)
    flat = (1 - height**2).sqrt()
    direction = torch.stack([flat * azimuth.cos(), flat * azimuth.sin(), height], dim=-1)
    return (distance[:, None] * direction).float()


def evenly_in_cube(points: int) -> Float[Tensor, "{points} 3"]:
    """Places all over the cube from -1 to 1: the additive recurrence of Roberts' R3 sequence."""
    root = 1.2207440846057596  # of x^4 = x + 1
    steps = torch.tensor([root**-1, root**-2, root**-3], dtype=torch.float64)
    return (2 * ((0.5 + steps * torch.arange(1, points + 1)[:, None]) % 1) - 1).float()
