"""The canvas u of the generator and the image read from it, neither formed larger than needed.

u_L = sum over l of up_l(h_l), at the image's size, and the image is a 1x1 convolution of u_L (Eslami et al. 2018,
supplement, figure S2; Gregor et al. 2016). Up-sampling has kernel = stride, so all of it is linear in the hidden
states, position by position: reading the image after up-sampling is one small transposed convolution, and
down-sampling after up-sampling is one matrix.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.conditioning import SCALE


class Canvas(nn.Module):
    """Gathers the hidden states h_l, and reads from them the image and what the inference core sees.

    Args:
        hidden: channels of h_l. canvas: channels of u. image: channels of the image.
        steps: generator steps with an up-sampling each; 1 when all share one.
        looks: steps with a down-sampling each, for the inference core; 1 when all share one, 0 for none.
        output: "linear" gives the image as it is; "sigmoid" keeps it in 0..1.
    """

    def __init__(self, *, hidden: int, canvas: int, image: int, steps: int, looks: int, output: str) -> None:
        super().__init__()
        self.shared = steps == 1
        self.output = output
        # Weights of transposed convolutions (hidden canvas y x) and of convolutions (canvas canvas y x).
        self.up = nn.ParameterList(nn.ConvTranspose2d(hidden, canvas, SCALE).weight for _ in range(steps))
        self.down = nn.ParameterList(nn.Conv2d(canvas, canvas, SCALE).weight for _ in range(looks))
        self.observe = nn.Conv2d(canvas, image, kernel_size=1)
        if output == "linear":
            assert self.observe.bias is not None
            nn.init.constant_(self.observe.bias, 0.5)  # the first image is mid grey, as with a sigmoid

    def gather(self, gathered: Tensor | None, hidden: Float[Tensor, "b hidden y x"]) -> Float[Tensor, "b gathered y x"]:
        """Add h_l: to the sum of those before where they share one up-sampling, else beside them."""
        if gathered is None:
            return hidden
        return gathered + hidden if self.shared else torch.cat([gathered, hidden], dim=1)

    def views(self, steps: int) -> list[Tensor]:
        """For each step but the first, the matrix from what is gathered to the down-sampled canvas."""
        if not self.down:
            return []
        ups = torch.cat([rearrange(up, "h u y x -> h (u y x)") for up in self.up])
        downs = [rearrange(down, "o u y x -> o (u y x)") for down in self.down]
        if self.shared:
            return [downs[0] @ ups.T] * (steps - 1)
        hidden = len(ups) // len(self.up)
        return [down @ ups[: hidden * (step + 1)].T for step, down in enumerate(downs)]

    def image(self, gathered: Float[Tensor, "b gathered y x"]) -> Float[Tensor, "b c h w"]:
        """The image's mean from all hidden states; at least fp32."""
        with torch.autocast(gathered.device.type, enabled=False):
            read = self.observe.weight[:, :, 0, 0]
            kernels = torch.cat([torch.einsum("huyx,cu->hcyx", up, read) for up in self.up])
            image = F.conv_transpose2d(gathered, kernels, self.observe.bias, stride=SCALE)
        return image.sigmoid() if self.output == "sigmoid" else image

    def layers(self, hidden: Float[Tensor, "b l hidden y x"]) -> Float[Tensor, "b l u H W"]:
        """The canvas u_l itself after each step, to look at."""
        ups = list(self.up) * hidden.shape[1] if self.shared else list(self.up)
        added = [F.conv_transpose2d(hidden[:, step], up, stride=SCALE) for step, up in enumerate(ups)]
        return torch.stack(added, dim=1).cumsum(dim=1)
