"""Controls: the same probe on what should not tell the count, or on r without what might give it away.

A control is a row of plain choices (``conf/probe/control/*.yaml``): what is summed, what of it is shown to the probe,
which labels and which split. A new one is a YAML; a new choice is one function in the table of its kind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.inputs.view_selection import SOURCES

Transform = Callable[[Float[Tensor, "s k f"], Int[Tensor, " k"], torch.Generator], Float[Tensor, "s k g"]]
Labeller = Callable[[int, int, torch.Generator], Int[Tensor, "s k"]]


def _identity(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    return r


def _norm(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """L1, L2 and sum: all that a sum of non-negative views gives away by its length."""
    return torch.stack([r.abs().sum(dim=-1), r.norm(dim=-1), r.sum(dim=-1)], dim=-1)


def _divided(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """The mean view."""
    return r / counts[:, None]


def _direction(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    return torch.nn.functional.normalize(r, dim=-1)


def _norm_matched(r: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """Each object's lengths dealt out anew among its counts: lengths as varied as before that tell nothing."""
    dealt = torch.rand(r.shape[:2], generator=generator).argsort(dim=1)
    lengths = r.norm(dim=-1).gather(1, dealt)
    return _direction(r, counts, generator) * lengths[..., None]


TRANSFORMS: dict[str, Transform] = {
    "identity": _identity,
    "norm": _norm,
    "divided": _divided,
    "direction": _direction,
    "norm_matched": _norm_matched,
}


def _count(objects: int, counts: int, generator: torch.Generator) -> Tensor:
    return torch.arange(counts).expand(objects, counts)


def _shuffled(objects: int, counts: int, generator: torch.Generator) -> Tensor:
    """Counts permuted within each object."""
    return torch.rand(objects, counts, generator=generator).argsort(dim=1)


def _object(objects: int, counts: int, generator: torch.Generator) -> Tensor:
    """A random label for each object (Hewitt & Liang 2019, "Designing and interpreting probes with control tasks")."""
    return rearrange(torch.randint(counts, (objects,), generator=generator), "s -> s 1").expand(objects, counts)


LABELS: dict[str, Labeller] = {"count": _count, "shuffled": _shuffled, "object": _object}


@dataclass(frozen=True)
class Control:
    """What the probe is shown and asked; the defaults are the study itself."""

    description: str
    source: str = "nested"  # which views are summed, see views.py
    trained_on: str = ""  # the source of training rows where it is another
    encoder: Literal["trained", "untrained"] = "trained"
    input: str = ""  # a read-out in place of the probed one
    transform: str = "identity"
    labels: str = "count"
    split: Literal["object", "shape", "row"] = "object"

    @property
    def mixes(self) -> bool:
        """Whether views of different objects are summed."""
        return "incoherent" in (self.source, self.trained_on)

    def __post_init__(self) -> None:
        choices = {"source": SOURCES, "trained_on": ["", *SOURCES], "transform": TRANSFORMS, "labels": LABELS}
        choices |= {"encoder": ["trained", "untrained"], "split": ["object", "shape", "row"]}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                known = ", ".join(filter(None, allowed))
                raise ValueError(f"control {name}={getattr(self, name)!r} is none of {known}")
        if self.mixes and self.split == "shape":
            raise ValueError("control split='shape' needs rows of one object each, source='incoherent' mixes objects")
