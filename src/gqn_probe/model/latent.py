"""The Gaussians over the latent z of a generator step: the prior's and the posterior's head."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.objective import Gaussian


class Latent(nn.Module):
    """A Gaussian over z from a hidden state by one convolution (eta in figure S2 of the paper's supplement).

    ``deviation`` is "exp", exp(0.5 log-variance), or "softplus": public implementations differ.
    """

    def __init__(self, *, hidden: int, latent: int, kernel: int, deviation: str) -> None:
        super().__init__()
        self.deviation = deviation
        self.moments = nn.Conv2d(hidden, 2 * latent, kernel, padding=kernel // 2)

    def forward(self, hidden: Float[Tensor, "b h y x"]) -> Gaussian:
        return self._gaussian(self.moments(hidden))

    def of_zeros(self, batch: int, grid: tuple[int, int]) -> Gaussian:
        """Of the zero state: the bias at every position."""
        assert self.moments.bias is not None
        return self._gaussian(self.moments.bias[:, None, None].expand(batch, -1, *grid))

    def _gaussian(self, moments: Float[Tensor, "b m y x"]) -> Gaussian:
        # Deviations and the KL that is made of them need more than the 8 bits of bfloat16.
        moments = moments.to(torch.promote_types(moments.dtype, torch.float32))
        mean, raw = moments.chunk(2, dim=1)
        return Gaussian(mean, F.softplus(raw) if self.deviation == "softplus" else torch.exp(0.5 * raw))
