"""The convolutional LSTM core of the generator and of the inference network, its constant inputs apart.

Eslami et al. 2018, supplement, figure S2; Gregor et al. 2016, "Towards conceptual compression"; the cell without
peepholes of Shi et al. 2015. The convolution of a concatenation is the sum of the convolutions of its parts, so
what does not change over the generator's steps is convolved once, and known zeros are not convolved at all.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.conditioning import Given, Injection, ProjectInjection


class State(NamedTuple):
    """Of an LSTM; its zero state is None everywhere in this package."""

    hidden: Float[Tensor, "b h y x"]
    cell: Float[Tensor, "b h y x"]


class Core(nn.Module):
    """One step of a convolutional LSTM.

    Args:
        injection: makes gates of the inputs that stay constant.
        latent: channels of z, which the generation core reads anew at every step.
        recurrent: channels of the states that it reads, its own last; 0 for a core that only meets zero states.
        hidden: channels of its own hidden state.
        kernel: height and width of the convolutions.
    """

    def __init__(self, injection: Injection, *, latent: int, recurrent: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.injection = injection
        self.latent, self.recurrent = (
            nn.Conv2d(channels, 4 * hidden, kernel, padding=kernel // 2, bias=False) if channels else None
            for channels in (latent, recurrent)
        )
        if not isinstance(injection, ProjectInjection):
            # All are parts of one convolution, and start as it would.
            bound = 1 / math.sqrt((injection.gates.in_channels + latent + recurrent) * kernel**2)
            for part in (injection.gates, self.latent, self.recurrent):
                for parameter in part.parameters() if part else ():
                    nn.init.uniform_(parameter, -bound, bound)

    def constant(self, given: Given) -> Float[Tensor, "b gates y x"]:
        """The part of the four gates that is the same at every step."""
        return self.injection(given)

    def forward(
        self,
        constant: Float[Tensor, "b gates y x"],
        latent: Float[Tensor, "b z y x"] | None,
        others: list[Tensor],
        state: State | None,
    ) -> State:
        """The next state. Without a state, which then counts as zero, ``others`` do too and are left out."""
        return update(self.pre_activations(constant, latent, others, state), state)

    def pre_activations(
        self,
        constant: Float[Tensor, "b gates y x"],
        latent: Float[Tensor, "b z y x"] | None,
        others: list[Tensor],
        state: State | None,
    ) -> Float[Tensor, "b gates y x"]:
        """The gates before their non-linearities: a sum of what each input adds."""
        gates = constant
        if latent is not None and self.latent is not None:
            gates = gates + self.latent(latent)
        if state is not None and self.recurrent is not None:
            gates = gates + self.recurrent(torch.cat([*others, state.hidden], dim=1))
        return gates


def update(gates: Float[Tensor, "b gates y x"], state: State | None) -> State:
    """The LSTM's equations; gates in the order forget, input, output, candidate."""
    # At least fp32: in bfloat16 the 8 bits of a state that is added to at every step would be too few.
    gates = gates.to(torch.promote_types(gates.dtype, torch.float32))
    forget, write, read, candidate = gates.chunk(4, dim=1)
    cell = write.sigmoid() * candidate.tanh()
    if state is not None:
        cell = cell + forget.sigmoid() * state.cell
    return State(hidden=read.sigmoid() * cell.tanh(), cell=cell)
