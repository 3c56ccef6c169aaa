"""The convolutional LSTM core of the generator and of the inference network, its constant inputs apart.

Eslami et al. 2018, supplement, figure S2; Gregor et al. 2016, "Towards conceptual compression"; the cell without
peepholes of Shi et al. 2015. The convolution of a concatenation is the sum of the convolutions of its parts, so
what does not change over the generator's steps is convolved once, and known zeros are not convolved at all.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.injection import Injection, ProjectInjection


class State(NamedTuple):
    """Of an LSTM; its zero state is None everywhere in this package."""

    hidden: Float[Tensor, "b h y x"]
    cell: Float[Tensor, "b h y x"]


class Core(nn.Module):
    """One step of a convolutional LSTM.

    Args:
        injection: makes gates of the inputs that stay constant.
        moving: channels of the inputs that change from step to step, the LSTM's own hidden state being the last;
            0 for a core that only ever starts from the zero state and has no such input.
        hidden: channels of the hidden state.
        kernel: height and width of the convolution.
    """

    def __init__(self, injection: Injection, *, moving: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.injection = injection
        self.recurrent = nn.Conv2d(moving, 4 * hidden, kernel, padding=kernel // 2, bias=False) if moving else None
        if self.recurrent is not None and not isinstance(injection, ProjectInjection):
            # Both are parts of one convolution, and start as it would.
            bound = 1 / math.sqrt((moving + injection.gates.in_channels) * kernel**2)
            for parameter in (self.recurrent.weight, *injection.gates.parameters()):
                nn.init.uniform_(parameter, -bound, bound)

    def constant(
        self,
        representation: Float[Tensor, "b d ry rx"],
        cameras: Float[Tensor, "b p"],
        frames: Float[Tensor, "b c h w"] | None,
        grid: tuple[int, int],
    ) -> Float[Tensor, "b g y x"]:
        """The part of the four gates that is the same at every step."""
        return self.injection(representation, cameras, frames, grid)

    def forward(self, constant: Float[Tensor, "b g y x"], moving: list[Tensor], state: State | None) -> State:
        """The next state. What is left out counts as zero: the state, and moving inputs from the last."""
        inputs = [*moving, state.hidden] if state else moving
        gates = constant
        if inputs:
            assert self.recurrent is not None
            joined = torch.cat(inputs, dim=1)
            weight = self.recurrent.weight[:, : joined.shape[1]]
            gates = gates + F.conv2d(joined, weight, padding=self.recurrent.padding)
        return update(gates, state)


def update(gates: Float[Tensor, "b g y x"], state: State | None) -> State:
    """The LSTM's equations; gates in the order forget, input, output, candidate."""
    forget, write, read, candidate = gates.chunk(4, dim=1)
    cell = write.sigmoid() * candidate.tanh()
    if state:
        cell = cell + forget.sigmoid() * state.cell
    return State(hidden=read.sigmoid() * cell.tanh(), cell=cell)
