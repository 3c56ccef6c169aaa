"""Canvas u of the generator and the image computed from it.

    u_L = sum_l up_l(h_l)                  at the image's size
    image = observe(u_L)                   a 1x1 convolution

Eslami et al. 2018, supplement, figure S2; Gregor et al. 2016. Up-sampling is a transposed convolution with kernel =
stride, so everything is linear in the hidden states, position by position: up-sampling and ``observe`` are one small
transposed convolution, up-sampling and down-sampling one matrix, and u itself is never formed.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.conditioning import SCALE


class Canvas(nn.Module):
    """Up-sampling of hidden states, their sum, and its projections to the image and to the inference core.

    Args:
        hidden: channels of h_l.
        canvas: channels of u.
        image: channels of the image.
        steps: number of up-samplings; 1 if all generator steps share one.
        downsamplings: number of down-samplings for the inference core; 1 if all steps share one, 0 for none.
        output: activation of the image, "linear" or "sigmoid".
    """

    def __init__(self, *, hidden: int, canvas: int, image: int, steps: int, downsamplings: int, output: str) -> None:
        super().__init__()
        self.shared = steps == 1
        self.output = output
        # Weights of transposed convolutions (hidden canvas y x) and of convolutions (canvas canvas y x).
        self.up = nn.ParameterList(nn.ConvTranspose2d(hidden, canvas, SCALE).weight for _ in range(steps))
        self.down = nn.ParameterList(nn.Conv2d(canvas, canvas, SCALE).weight for _ in range(downsamplings))
        self.observe = nn.Conv2d(canvas, image, kernel_size=1)
        if output == "linear":
            assert self.observe.bias is not None
            nn.init.constant_(self.observe.bias, 0.5)  # the first image is mid grey, as with a sigmoid

    def accumulate(
        self, gathered: Tensor | None, hidden: Float[Tensor, "b hidden y x"]
    ) -> Float[Tensor, "b gathered y x"]:
        """Add h_l to the sum of those before if all share one up-sampling, else concatenate it to them."""
        if gathered is None:
            return hidden
        return gathered + hidden if self.shared else torch.cat([gathered, hidden], dim=1)

    def downsampling_matrices(self, steps: int) -> list[Tensor]:
        """Return for each step but the first the matrix from the accumulated states to the down-sampled canvas."""
        if not self.down:
            return []
        ups = torch.cat([rearrange(up, "h u y x -> h (u y x)") for up in self.up])
        downs = [rearrange(down, "o u y x -> o (u y x)") for down in self.down]
        if self.shared:
            return [downs[0] @ ups.T] * (steps - 1)
        hidden = len(ups) // len(self.up)
        return [down @ ups[: hidden * (step + 1)].T for step, down in enumerate(downs)]

    def image(self, gathered: Float[Tensor, "b gathered y x"]) -> Float[Tensor, "b c h w"]:
        """Return the mean of the image from the accumulated states, in at least fp32."""
        with torch.autocast(gathered.device.type, enabled=False):
            read = self.observe.weight[:, :, 0, 0]
            kernels = torch.cat([torch.einsum("huyx,cu->hcyx", up, read) for up in self.up])
            image = F.conv_transpose2d(gathered, kernels, self.observe.bias, stride=SCALE)
        return image.sigmoid() if self.output == "sigmoid" else image

    def canvases(self, hidden: Float[Tensor, "b l hidden y x"]) -> Float[Tensor, "b l u H W"]:
        """Return the canvas u_l after each step."""
        ups = list(self.up) * hidden.shape[1] if self.shared else list(self.up)
        added = [F.conv_transpose2d(hidden[:, step], up, stride=SCALE) for step, up in enumerate(ups)]
        return torch.stack(added, dim=1).cumsum(dim=1)
