"""Controls: the same probe on what should not tell the count, or on r without what might give it away.

A control is a row of plain choices (``conf/probe/control/*.yaml``): what is summed, what of it is shown to the probe,
which labels and which split. A new one is a YAML that is found by lying there; a new choice is one function, registered
by ``@transform`` or ``@labeller`` under its name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.inputs.view_selection import SOURCES
from gqn_probe.choices import check_choice

Transform = Callable[[Float[Tensor, "s k f"], Int[Tensor, " k"], torch.Generator], Float[Tensor, "s k transformed"]]
Labeller = Callable[[int, int, torch.Generator], Int[Tensor, "s k"]]


TRANSFORMS: dict[str, Transform] = {}
LABELLERS: dict[str, Labeller] = {}


def transform(function: Transform) -> Transform:
    """Register what a control makes of sums, under the function's name."""
    TRANSFORMS[function.__name__] = function
    return function


def labeller(function: Labeller) -> Labeller:
    """Register the labels that a control asks for, under the function's name."""
    LABELLERS[function.__name__] = function
    return function


@transform
def identity(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """The sum as it is."""
    return r


@transform
def norm(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """The L.5, L1, L2, L4 and maximum norms: what the length of r gives away, however it is measured."""
    largest = r.abs().amax(dim=-1)
    shares = r.abs() / largest[..., None].clamp(min=1e-30)  # of which no power overflows
    norms = [largest * (shares**p).sum(dim=-1) ** (1 / p) for p in (0.5, 1, 2, 4)]
    return torch.stack([*norms, largest], dim=-1)


@transform
def divided(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """The mean view."""
    return r / counts[:, None]


@transform
def direction(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """r / |r|."""
    return torch.nn.functional.normalize(r, dim=-1)


@transform
def norm_matched(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """Each object's lengths dealt out anew among its counts: lengths as varied as before that tell nothing."""
    dealt = torch.rand(r.shape[:2], generator=generator).argsort(dim=1)
    lengths = r.norm(dim=-1).gather(1, dealt)
    return direction(r, counts, generator) * lengths[..., None]


@labeller
def count(objects: int, counts: int, generator: torch.Generator) -> Tensor:
    """The count itself."""
    return torch.arange(counts).expand(objects, counts)


@labeller
def shuffled(objects: int, counts: int, generator: torch.Generator) -> Tensor:
    """Counts permuted within each object."""
    return torch.rand(objects, counts, generator=generator).argsort(dim=1)


@labeller
def object_label(objects: int, counts: int, generator: torch.Generator) -> Tensor:
    """A random label for each object (Hewitt & Liang 2019, "Designing and interpreting probes with control tasks")."""
    return rearrange(torch.randint(counts, (objects,), generator=generator), "s -> s 1").expand(objects, counts)


@dataclass(frozen=True)
class Control:
    """Inputs and labels of a probe under a control; the defaults are the study itself."""

    description: str
    source: str = "nested"  # which views are summed, see view_selection.py
    trained_on: str = ""  # the source of training rows where it is another
    encoder: Literal["trained", "untrained"] = "trained"
    input: str = ""  # a read-out in place of the probed one
    transform: str = "identity"
    labels: str = "count"
    split: Literal["object", "shape", "row"] = "object"

    @property
    def mixes_objects(self) -> bool:
        """Whether views of different objects are summed."""
        return "incoherent" in (self.source, self.trained_on)

    def __post_init__(self) -> None:
        choices = {"source": SOURCES, "trained_on": ["", *SOURCES], "transform": TRANSFORMS, "labels": LABELLERS}
        choices |= {"encoder": ["trained", "untrained"], "split": ["object", "shape", "row"]}
        for name, allowed in choices.items():
            check_choice(f"control {name}", getattr(self, name), allowed)
        if self.mixes_objects and self.split == "shape":
            raise ValueError("control split='shape' needs rows of one object each, source='incoherent' mixes objects")
