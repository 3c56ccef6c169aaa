"""Attention among points (Vaswani et al. 2017) and from rays to points, by PyTorch's fused kernels."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.rays import point_features


def attend(
    query: Float[Tensor, "*b n part"], key: Float[Tensor, "*b key part"], value: Float[Tensor, "*b key value"]
) -> Float[Tensor, "*b n value"]:
    """Return means of ``value`` with weights softmax(query . key), without scaling.

    Padded to one width, because the CPU has no fused kernel for unequal ones; a multiple of 16 takes a fifth less time.
    Computed in the precision of ``query`` also under autocast: logits that are distances need more than the 8 bits of
    bfloat16.
    """
    width = -(-max(query.shape[-1], value.shape[-1]) // 16) * 16
    with torch.autocast(query.device.type, enabled=False):
        key, padded = key.to(query.dtype), value.to(query.dtype)
        query, key, padded = (F.pad(part, (0, width - part.shape[-1])) for part in (query, key, padded))
        return F.scaled_dot_product_attention(query, key, padded, scale=1.0)[..., : value.shape[-1]]


def split_heads(values: Float[Tensor, "b n width"], heads: int) -> Float[Tensor, "b head n part"]:
    """Split channels into heads."""
    return rearrange(values, "b n (head part) -> b head n part", head=heads)


def join_heads(values: Float[Tensor, "b head n part"]) -> Float[Tensor, "b n width"]:
    """Concatenate heads to channels."""
    return rearrange(values, "b head n part -> b n (head part)")


class SelfAttention(nn.Module):
    """Transformer block with pre-normalisation: self-attention, then a perceptron, each with a residual connection."""

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = perceptron(width)

    def forward(self, tokens: Float[Tensor, "b n width"]) -> Float[Tensor, "b n width"]:
        parts = self.query_key_value(self.norm_attention(tokens)).chunk(3, dim=-1)
        query, key, value = (split_heads(part, self.heads) for part in parts)
        tokens = tokens + self.output(join_heads(F.scaled_dot_product_attention(query, key, value)))
        return tokens + self.perceptron(self.norm_perceptron(tokens))


class RayAttention(nn.Module):
    """Cross-attention from rays to points, whose logits add content, squared distance and depth along the ray.

    logit = query . key / sqrt(width of a head) - exp(log_sharpness) distance^2 - nearness depth
    """

    def __init__(self, *, width: int, heads: int, sharpness: list[float]) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        self.perceptron = perceptron(width)
        self.log_sharpness = nn.Parameter(log_spread(sharpness, heads))
        self.nearness = nn.Parameter(torch.zeros(heads))  # preference of each head for points in front

    def forward(
        self,
        tokens: Float[Tensor, "b n width"],
        rays: Float[Tensor, "b n 14"],
        points: Float[Tensor, "b point width"],
        places: Float[Tensor, "point 3"],
    ) -> Float[Tensor, "b n width"]:
        query = split_heads(self.query(self.norm_attention(tokens)), self.heads)
        key, value = (split_heads(part, self.heads) for part in self.key_value(points).chunk(2, dim=-1))
        distance = -self.log_sharpness.exp()[:, None, None] * point_features(places)
        nearness = -self.nearness[:, None, None] * places
        geometry = torch.cat([distance, nearness], dim=-1).expand(len(points), -1, -1, -1)
        query = query.float() * key.shape[-1] ** -0.5
        query = torch.cat([query, rays[:, None].expand(-1, self.heads, -1, -1)], dim=-1)
        seen = attend(query, torch.cat([key.float(), geometry], dim=-1), value)
        tokens = tokens + self.output(join_heads(seen))
        return tokens + self.perceptron(self.norm_perceptron(tokens))


def perceptron(width: int) -> nn.Sequential:
    """Return a perceptron with one hidden layer of twice the width."""
    return nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))


def log_spread(ends: list[float], number: int) -> Float[Tensor, " {number}"]:
    """Return the logarithms of ``number`` values between two ends, evenly spaced on a logarithmic scale."""
    return torch.linspace(math.log(ends[0]), math.log(ends[1]), number)
