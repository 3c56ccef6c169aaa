"""Convolutional LSTM core of the generator and of the inference network.

    f, i, o, g = W * [constant inputs, z_l, other states, h] + b      gates: forget, input, output, candidate
    c' = sigmoid(f) c + sigmoid(i) tanh(g)
    h' = sigmoid(o) tanh(c')

Eslami et al. 2018, supplement, figure S2; the cell of Shi et al. 2015 without peepholes. The convolution of a
concatenation is the sum of the convolutions of its parts, so inputs that are the same at every step are convolved once,
and known zeros not at all.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.conditioning import Conditioning, Injection, ProjectInjection, RepeatInjection, SpreadInjection


class State(NamedTuple):
    """Hidden and cell state of an LSTM; the zero state is None everywhere in this package."""

    hidden: Float[Tensor, "b hidden y x"]
    cell: Float[Tensor, "b hidden y x"]


class GatedCore(nn.Module):
    """Base class of cores: one recurrent step, from gate pre-activations to the next LSTM state."""

    fixed_size: int | None = None  # height and width of the only images that the core takes

    def constant(self, inputs: Conditioning) -> Float[Tensor, "b gates y x"]:
        """Return the part of the gate pre-activations that is the same at every step."""
        raise NotImplementedError

    def pre_activations(
        self,
        constant: Float[Tensor, "b gates y x"],
        latent: Float[Tensor, "b z y x"] | None,
        others: list[Tensor],
        state: State | None,
    ) -> Float[Tensor, "b gates y x"]:
        """Return the gates before their non-linearities.

        Args:
            constant: what ``constant`` returned.
            latent: z of this step; None for the inference core.
            others: states of the other network, and the canvas, that this core reads.
            state: the core's own previous state; None for zero.
        """
        raise NotImplementedError

    def forward(
        self,
        constant: Float[Tensor, "b gates y x"],
        latent: Float[Tensor, "b z y x"] | None,
        others: list[Tensor],
        state: State | None,
    ) -> State:
        """Return the next state. ``state=None`` is the zero state; ``others`` are then zero too, and empty."""
        return lstm_update(self.pre_activations(constant, latent, others, state), state)


class Core(GatedCore):
    """Core of a convolutional LSTM.

    Args:
        injection: maps the constant inputs to gates.
        latent: channels of z; 0 for the inference core.
        recurrent: channels of all states read, its own last; 0 for a core that only sees zero states.
        hidden: channels of its own hidden state.
        kernel: height and width of the convolutions.
    """

    def __init__(self, injection: Injection, *, latent: int, recurrent: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.injection, self.fixed_size = injection, injection.fixed_size
        self.latent, self.recurrent = (
            nn.Conv2d(channels, 4 * hidden, kernel, padding=kernel // 2, bias=False) if channels else None
            for channels in (latent, recurrent)
        )
        if not isinstance(injection, ProjectInjection):
            # All are parts of one convolution: initialise them as PyTorch would initialise it.
            bound = 1 / math.sqrt((injection.gates.in_channels + latent + recurrent) * kernel**2)
            for part in (injection.gates, self.latent, self.recurrent):
                for parameter in part.parameters() if part else ():
                    nn.init.uniform_(parameter, -bound, bound)

    def constant(self, inputs: Conditioning) -> Float[Tensor, "b gates y x"]:
        return self.injection(inputs)

    def pre_activations(
        self,
        constant: Float[Tensor, "b gates y x"],
        latent: Float[Tensor, "b z y x"] | None,
        others: list[Tensor],
        state: State | None,
    ) -> Float[Tensor, "b gates y x"]:
        gates = constant
        if latent is not None and self.latent is not None:
            gates = gates + self.latent(latent)
        if state is not None and self.recurrent is not None:
            gates = gates + self.recurrent(torch.cat([*others, state.hidden], dim=1))
        return gates


def lstm_update(gates: Float[Tensor, "b gates y x"], state: State | None) -> State:
    """Return the next LSTM state from gate pre-activations in the order forget, input, output, candidate."""
    # At least fp32: bfloat16 has 8 bits, too few for a cell state that accumulates over the steps.
    gates = gates.to(torch.promote_types(gates.dtype, torch.float32))
    forget, write, read, candidate = gates.chunk(4, dim=1)
    cell = write.sigmoid() * candidate.tanh()
    if state is not None:
        cell = cell + forget.sigmoid() * state.cell
    return State(hidden=read.sigmoid() * cell.tanh(), cell=cell)


class CoreSizes(NamedTuple):
    """Sizes that a core is built from; numbers of channels unless stated otherwise."""

    hidden: int  # of the core's own state
    kernel: int  # height and width of its convolutions, positions
    latent: int  # of z; 0 for the inference core
    others: int  # of the other states that the core reads
    first: bool  # core of the first step alone, which only sees zero states
    representation: int
    camera: int
    image: int  # of the query's image; 0 for the generation core
    pooled: bool  # the representation has one position, else the generator's grid
    size: int  # height and width of the images, pixels

    @property
    def constants(self) -> dict[str, int]:
        """Channels of the inputs that are the same at every step."""
        return {"representation": self.representation, "camera": self.camera, "image": self.image}


CORES: dict[str, Callable[[CoreSizes], GatedCore]] = {}  # by the value of ``model.generator.core``


def core(make: Callable[[CoreSizes], GatedCore]) -> Callable[[CoreSizes], GatedCore]:
    """Register the decorated function, which builds a core, under its name."""
    CORES[make.__name__] = make
    return make


@core
def spread(sizes: CoreSizes) -> Core:
    """Return the paper's core."""
    injection = SpreadInjection(
        gates=4 * sizes.hidden, kernel=sizes.kernel, pooled=sizes.pooled, size=sizes.size, **sizes.constants
    )
    return _lstm_core(injection, sizes)


@core
def repeat(sizes: CoreSizes) -> Core:
    """Return the paper's LSTM with the injection of the released port."""
    return _lstm_core(RepeatInjection(gates=4 * sizes.hidden, kernel=sizes.kernel, **sizes.constants), sizes)


@core
def project(sizes: CoreSizes) -> Core:
    """Return the paper's LSTM with position-wise injection."""
    return _lstm_core(ProjectInjection(gates=4 * sizes.hidden, **sizes.constants), sizes)


def _lstm_core(injection: Injection, sizes: CoreSizes) -> Core:
    recurrent = 0 if sizes.first else sizes.others + sizes.hidden
    return Core(injection, latent=sizes.latent, recurrent=recurrent, hidden=sizes.hidden, kernel=sizes.kernel)
