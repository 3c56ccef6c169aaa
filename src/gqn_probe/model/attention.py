"""Attention in the form that fused kernels serve, and the block of self-attention (Vaswani et al. 2017)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


def attend(
    query: Float[Tensor, "*b n k"], key: Float[Tensor, "*b m k"], value: Float[Tensor, "*b m v"]
) -> Float[Tensor, "*b n v"]:
    """Means of ``value`` weighted by softmax of ``query . key``, unscaled.

    Padded to one width, without which the CPU has no fused kernel. Computed in the precision of ``query``, whatever
    autocast says: logits that are distances need more than the 8 bits of bfloat16.
    """
    width = max(query.shape[-1], value.shape[-1])
    with torch.autocast(query.device.type, enabled=False):
        key, padded = key.to(query.dtype), value.to(query.dtype)
        query, key, padded = (F.pad(part, (0, width - part.shape[-1])) for part in (query, key, padded))
        return F.scaled_dot_product_attention(query, key, padded, scale=1.0)[..., : value.shape[-1]]


def split_heads(values: Float[Tensor, "b n w"], heads: int) -> Float[Tensor, "b h n k"]:
    """Channels dealt out to heads."""
    return rearrange(values, "b n (h k) -> b h n k", h=heads)


def join_heads(values: Float[Tensor, "b h n k"]) -> Float[Tensor, "b n w"]:
    """Heads side by side again."""
    return rearrange(values, "b h n k -> b n (h k)")


class SelfAttention(nn.Module):
    """Tokens attend to each other, then each passes a perceptron; both normalised before, added to what was there."""

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = perceptron(width)

    def forward(self, tokens: Float[Tensor, "b n w"]) -> Float[Tensor, "b n w"]:
        parts = self.query_key_value(self.norm_attention(tokens)).chunk(3, dim=-1)
        query, key, value = (split_heads(part, self.heads) for part in parts)
        tokens = tokens + self.output(join_heads(F.scaled_dot_product_attention(query, key, value)))
        return tokens + self.perceptron(self.norm_perceptron(tokens))


def perceptron(width: int) -> nn.Sequential:
    """Width to twice the width and back."""
    return nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
