"""The network of points written step by step, nothing shared, fused or left out: what ours is held against.

It has the parameters of ``Points`` by name. Every query is read apart, with a copy of its scene's representation;
squared distances are of the outer product (14 numbers); inputs of a layer are formed side by side.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportIndexIssue=false
# torch and Lightning type what a module or a trainer holds more loosely than it is

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from gqn_probe.model import Points
from gqn_probe.model.rays import Rays


def ray14(rays: Rays) -> Tensor:
    """n g 14: what the squared distance to a point needs of a ray."""
    outer = torch.einsum("nga,ngb->ngab", rays.direction, rays.direction).flatten(-2)
    length = rays.origin.square().sum(dim=-1, keepdim=True)
    return torch.cat([-outer, -2 * rays.origin, length, torch.ones_like(length)], dim=-1)


def point14(points: Tensor) -> Tensor:
    """s 14: what the squared distance to a ray needs of a point."""
    outer = torch.einsum("sa,sb->sab", points, points).flatten(-2)
    length = points.square().sum(dim=-1, keepdim=True)
    return torch.cat([outer, points, torch.ones_like(length), length], dim=-1)


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.transpose(-1, -2)).softmax(dim=-1) @ value


def heads_of(tokens: Tensor, heads: int) -> Tensor:
    return rearrange(tokens, "b n (h k) -> b h n k", h=heads)


def merged(tokens: Tensor) -> Tensor:
    return rearrange(tokens, "b h n k -> b n (h k)")


class PlainPoints(Points):
    """``Points``, plainly."""

    def layers(self, frames: Tensor, cameras: Tensor) -> dict[str, Tensor]:
        part = self.gather
        frames = frames - self.background[:, None, None]
        grid = frames.shape[-2] // 4, frames.shape[-1] // 4
        rays = self.rays(cameras, grid)
        stem = part.conv1(frames).relu()
        stem = part.conv2(stem).relu()
        stem = part.conv3(stem).relu()
        quarters = F.avg_pool2d(frames, 2)
        quarters = rearrange(quarters, "n c (gy y) (gx x) -> n (gy gx) (c y x)", y=2, x=2)
        value = part.value(torch.cat([rearrange(stem, "n k y x -> n (y x) k"), 2 * quarters], dim=-1))
        query = -part.log_sharpness.exp()[:, None, None] * point14(self.places)
        gathered = merged(attention(query, ray14(rays)[:, None], heads_of(value, part.heads)))

        views, points = len(frames), len(self.places)
        depth = rays.forward @ self.places.T - (rays.forward * rays.eye).sum(dim=-1, keepdim=True)
        places = self.places.expand(views, -1, -1)
        where = torch.cat([places, rays.forward[:, None].expand(-1, points, -1), depth[..., None]], dim=-1)
        hidden = part.mix((gathered + part.where(where)).relu()).relu()
        code = (part.linear_path(gathered) + part.output(hidden)).relu()
        return {"points": rearrange(code, "n s d -> n d s 1")}

    def query_features(self, representation: Tensor, cameras: Tensor, grid: tuple[int, int]) -> Tensor:
        part = self.reader
        representation = representation.repeat_interleave(len(cameras) // len(representation), dim=0)
        codes = part.norm(rearrange(representation, "n d s 1 -> n s d"))
        places = self.places.expand(len(codes), -1, -1)
        points = part.code(torch.cat([codes, places], dim=-1))
        for block in part.blocks:
            query, key, value = (
                heads_of(each, block.heads) for each in block.query_key_value(block.norm_attention(points)).chunk(3, -1)
            )
            points = points + block.output(merged(attention(query * query.shape[-1] ** -0.5, key, value)))
            points = points + block.perceptron(block.norm_perceptron(points))

        rays = self.rays(cameras, grid)
        distance = rays.origin.norm(dim=-1, keepdim=True)
        tokens = part.ray(torch.cat([rays.origin, rays.direction, rays.direction * distance], dim=-1))
        for look in part.looks:
            query = heads_of(look.query(look.norm_attention(tokens)), look.heads)
            key, value = (heads_of(each, look.heads) for each in look.key_value(points).chunk(2, dim=-1))
            near = -look.log_sharpness.exp()[:, None, None] * point14(self.places)
            front = -look.nearness[:, None, None] * self.places
            geometry = torch.cat([near, front], dim=-1).expand(len(points), -1, -1, -1)
            of_rays = torch.cat([ray14(rays), rays.direction], dim=-1)[:, None].expand(-1, look.heads, -1, -1)
            query = torch.cat([query * query.shape[-1] ** -0.5, of_rays], dim=-1)
            tokens = tokens + look.output(merged(attention(query, torch.cat([key, geometry], dim=-1), value)))
            tokens = tokens + look.perceptron(look.norm_perceptron(tokens))
        return rearrange(tokens, "n (y x) w -> n w y x", y=grid[0])
