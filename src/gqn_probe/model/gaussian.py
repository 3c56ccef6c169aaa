"""Diagonal Gaussians of the latents, and the terms of the evidence lower bound in nats.

    ELBO = E_q[log N(x | mean, sigma^2)] - sum_l KL(q_l || pi_l)

Eslami et al. 2018, supplement, EstimateELBO and figure S2.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Gaussian(NamedTuple):
    """Diagonal Gaussian."""

    mean: Float[Tensor, "*shape"]
    std: Float[Tensor, "*shape"]

    def sample(self, *, deterministic: bool) -> Float[Tensor, "*shape"]:
        """Return a reparameterised draw from torch's global generator, or the mean."""
        return self.mean if deterministic else self.mean + self.std * torch.randn_like(self.mean)

    def log_prob(self, value: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the log-density of each element, in nats."""
        return -0.5 * ((value - self.mean) / self.std) ** 2 - self.std.log() - 0.5 * math.log(2 * math.pi)


class GaussianHead(nn.Module):
    """Convolution from a hidden state to the Gaussian of the latent z (eta in figure S2 of the paper's supplement).

    ``deviation`` is "exp", std = exp(0.5 a), or "softplus", std = log(1 + exp(a)): public implementations differ.
    """

    def __init__(self, *, hidden: int, latent: int, kernel: int, deviation: str) -> None:
        super().__init__()
        self.deviation = deviation
        self.moments = nn.Conv2d(hidden, 2 * latent, kernel, padding=kernel // 2)

    def forward(self, hidden: Float[Tensor, "b hidden y x"]) -> Gaussian:
        return self._gaussian(self.moments(hidden))

    def of_zeros(self, batch: int, grid: tuple[int, int]) -> Gaussian:
        """Return the Gaussian of the zero state: the bias at every position."""
        assert self.moments.bias is not None
        return self._gaussian(self.moments.bias[:, None, None].expand(batch, -1, *grid))

    def _gaussian(self, moments: Float[Tensor, "b moments y x"]) -> Gaussian:
        # At least fp32: deviations and the KL need more than the 8 bits of bfloat16.
        moments = moments.to(torch.promote_types(moments.dtype, torch.float32))
        mean, raw = moments.chunk(2, dim=1)
        return Gaussian(mean, F.softplus(raw) if self.deviation == "softplus" else torch.exp(0.5 * raw))


def kl_divergence(q: Gaussian, p: Gaussian) -> Float[Tensor, "*shape"]:
    """Return KL(q || p) of each element, in nats."""
    ratio = q.std / p.std
    distance = (q.mean - p.mean) / p.std
    return 0.5 * (ratio**2 + distance**2 - 1) - ratio.log()


def gaussian_nll(mean: Float[Tensor, "b c h w"], target: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, " b"]:
    """Return the negative log-likelihood of each image in nats, summed over pixels and channels in at least fp32.

    ``sigma`` is the standard deviation of every value, on the 0..1 scale of frames.
    """
    mean = mean.to(torch.promote_types(mean.dtype, torch.float32))
    squared = (mean - target).square().flatten(start_dim=1).sum(dim=1)
    return squared / (2 * sigma**2) + floor_nats(sigma, target[0].numel())


def floor_nats(sigma: float, dimensions: int) -> float:
    """Return the minimum of ``gaussian_nll``, that of a perfect mean: 0.5 log(2 pi sigma^2) a dimension.

    At sigma 0.7 and 64x64 RGB it is 6,909.1 nats, which the loss of a GQN approaches.
    """
    return 0.5 * math.log(2 * math.pi * sigma**2) * dimensions
