"""The convolutional LSTM core of the generator and of the inference network, its constant inputs apart.

Eslami et al. 2018, supplement, figure S2; Gregor et al. 2016, "Towards conceptual compression"; the cell without
peepholes of Shi et al. 2015. The convolution of a concatenation is the sum of the convolutions of its parts, so
what does not change over the generator's steps is convolved once, and known zeros are not convolved at all.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gqn_probe.model.conditioning import Given, Injection, ProjectInjection, RepeatInjection, SpreadInjection


class State(NamedTuple):
    """Of an LSTM; its zero state is None everywhere in this package."""

    hidden: Float[Tensor, "b hidden y x"]
    cell: Float[Tensor, "b hidden y x"]


class GatedCore(nn.Module):
    """One step of the generator or of the inference network: gates of its inputs, and the LSTM's equations."""

    fixed_size: int | None = None  # height and width of the only images that it is made for

    def constant(self, given: Given) -> Float[Tensor, "b gates y x"]:
        """The part of the four gates that is the same at every step."""
        raise NotImplementedError

    def pre_activations(
        self,
        constant: Float[Tensor, "b gates y x"],
        latent: Float[Tensor, "b z y x"] | None,
        others: list[Tensor],
        state: State | None,
    ) -> Float[Tensor, "b gates y x"]:
        """The gates before their non-linearities: a sum of what each input adds."""
        raise NotImplementedError

    def forward(
        self,
        constant: Float[Tensor, "b gates y x"],
        latent: Float[Tensor, "b z y x"] | None,
        others: list[Tensor],
        state: State | None,
    ) -> State:
        """The next state. Without a state, which then counts as zero, ``others`` do too and are left out."""
        return update(self.pre_activations(constant, latent, others, state), state)


class Core(GatedCore):
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
        self.injection, self.fixed_size = injection, injection.fixed_size
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
        return self.injection(given)

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


def update(gates: Float[Tensor, "b gates y x"], state: State | None) -> State:
    """The LSTM's equations; gates in the order forget, input, output, candidate."""
    # At least fp32: in bfloat16 the 8 bits of a state that is added to at every step would be too few.
    gates = gates.to(torch.promote_types(gates.dtype, torch.float32))
    forget, write, read, candidate = gates.chunk(4, dim=1)
    cell = write.sigmoid() * candidate.tanh()
    if state is not None:
        cell = cell + forget.sigmoid() * state.cell
    return State(hidden=read.sigmoid() * cell.tanh(), cell=cell)


class CoreSizes(NamedTuple):
    """What a core is made for: channels, unless said otherwise."""

    hidden: int  # of its own state
    kernel: int  # height and width of its convolutions, positions
    latent: int  # of z; 0 for the inference core
    others: int  # of the other states that it reads
    first: bool  # it is for the first step alone, and only meets states that are zero
    representation: int
    camera: int
    image: int  # of the query's image; 0 for the generation core
    pooled: bool  # the representation has one position, else the generator's grid
    size: int  # height and width of the images, pixels

    @property
    def constants(self) -> dict[str, int]:
        """Channels of the inputs that stay constant over the steps."""
        return {"representation": self.representation, "camera": self.camera, "image": self.image}


CORES: dict[str, Callable[[CoreSizes], GatedCore]] = {}  # by the value of ``model.generator.core``


def core(make: Callable[[CoreSizes], GatedCore]) -> Callable[[CoreSizes], GatedCore]:
    """Register the decorated function, which makes a core, under its name."""
    CORES[make.__name__] = make
    return make


@core
def spread(sizes: CoreSizes) -> Core:
    """The paper's."""
    injection = SpreadInjection(
        gates=4 * sizes.hidden, kernel=sizes.kernel, pooled=sizes.pooled, size=sizes.size, **sizes.constants
    )
    return _with(injection, sizes)


@core
def repeat(sizes: CoreSizes) -> Core:
    """The released port's injection with the paper's LSTM."""
    return _with(RepeatInjection(gates=4 * sizes.hidden, kernel=sizes.kernel, **sizes.constants), sizes)


@core
def project(sizes: CoreSizes) -> Core:
    """Ours."""
    return _with(ProjectInjection(gates=4 * sizes.hidden, **sizes.constants), sizes)


def _with(injection: Injection, sizes: CoreSizes) -> Core:
    recurrent = 0 if sizes.first else sizes.others + sizes.hidden
    return Core(injection, latent=sizes.latent, recurrent=recurrent, hidden=sizes.hidden, kernel=sizes.kernel)
