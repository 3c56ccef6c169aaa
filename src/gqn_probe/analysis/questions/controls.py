"""Control conditions of the count probes: inputs without the cue in question, labels without meaning.

A control combines a selection of views, a transform of their sums, labels and a split (``conf/probe/control/*.yaml``; a
new file there is a new control). A new transform or kind of labels is a function under ``@transform`` or ``@labeller``.
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
    """Register a transform of sums under the function's name."""
    TRANSFORMS[function.__name__] = function
    return function


def labeller(function: Labeller) -> Labeller:
    """Register a kind of labels under the function's name."""
    LABELLERS[function.__name__] = function
    return function


@transform
def identity(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """Return r unchanged."""
    return r


@transform
def norm(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """Return the L0.5, L1, L2, L4 and maximum norms of r: its length, however measured."""
    largest = r.abs().amax(dim=-1)
    shares = r.abs() / largest[..., None].clamp(min=1e-30)  # powers of which cannot overflow
    norms = [largest * (shares**p).sum(dim=-1) ** (1 / p) for p in (0.5, 1, 2, 4)]
    return torch.stack([*norms, largest], dim=-1)


@transform
def divided(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """Return r / k, the mean over views."""
    return r / counts[:, None]


@transform
def direction(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """Return r / |r|."""
    return torch.nn.functional.normalize(r, dim=-1)


@transform
def norm_matched(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """Return r with each object's lengths permuted among its counts: the same lengths, unrelated to the count."""
    dealt = torch.rand(r.shape[:2], generator=generator).argsort(dim=1)
    lengths = r.norm(dim=-1).gather(1, dealt)
    return direction(r, counts, generator) * lengths[..., None]


@labeller
def count(objects: int, counts: int, generator: torch.Generator) -> Tensor:
    """Return the counts."""
    return torch.arange(counts).expand(objects, counts)


@labeller
def shuffled(objects: int, counts: int, generator: torch.Generator) -> Tensor:
    """Return counts permuted within each object."""
    return torch.rand(objects, counts, generator=generator).argsort(dim=1)


@labeller
def object_label(objects: int, counts: int, generator: torch.Generator) -> Tensor:
    """Return a random label an object (Hewitt & Liang 2019, "Designing and interpreting probes with control tasks")."""
    return rearrange(torch.randint(counts, (objects,), generator=generator), "s -> s 1").expand(objects, counts)


@dataclass(frozen=True)
class Control:
    """Input, labels and split of a control; the defaults are those of the main condition ``none``."""

    description: str
    source: str = "nested"  # selection of views, see view_selection.py
    trained_on: str = ""  # selection of views for training rows, where it differs
    encoder: Literal["trained", "untrained"] = "trained"
    input: str = ""  # a read-out that replaces the probed one
    transform: str = "identity"
    labels: str = "count"
    split: Literal["object", "shape", "row"] = "object"

    @property
    def mixes_objects(self) -> bool:
        """True if views of different objects are summed."""
        return "incoherent" in (self.source, self.trained_on)

    def __post_init__(self) -> None:
        choices = {"source": SOURCES, "trained_on": ["", *SOURCES], "transform": TRANSFORMS, "labels": LABELLERS}
        choices |= {"encoder": ["trained", "untrained"], "split": ["object", "shape", "row"]}
        for name, allowed in choices.items():
            check_choice(f"control {name}", getattr(self, name), allowed)
        if self.mixes_objects and self.split == "shape":
            raise ValueError("control split='shape' needs rows of one object each, source='incoherent' mixes objects")
