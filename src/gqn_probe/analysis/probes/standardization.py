"""How rows are standardised, and the axes along which probes learn: all from training rows alone."""

from collections.abc import Iterable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = 8192  # rows read at a time
DEAD = 1e-6  # deviation over mean below which a column is taken for constant

Scaling = Literal["common", "column"]


def column_moments(
    features: Float[Tensor, "n d"], rows: Int[Tensor, " a"], scaling: Scaling = "common"
) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Mean and scale of the columns over ``rows``, in two streamed passes.

    The scale is one for all columns, the root of their mean variance: a unit that hardly ever fires must not be blown
    up to weigh as much as any. ``column`` gives each its own deviation, for columns in different units. A column
    without variance has an infinite scale, which leaves it out.
    """
    mean = torch.stack([features[part].double().sum(dim=0) for part in rows.split(CHUNK)]).sum(dim=0) / len(rows)
    squares = [(features[part].double() - mean).square().sum(dim=0) for part in rows.split(CHUNK)]
    scale = (torch.stack(squares).sum(dim=0) / len(rows)).sqrt()
    varies = scale > DEAD * mean.abs().clamp(min=DEAD)
    if scaling == "common" and varies.any():
        scale = scale[varies].square().mean().sqrt().expand_as(scale)
    return mean.float(), torch.where(varies, scale, torch.inf).float()


def principal_axes(
    parts: Iterable[Float[Tensor, "_ d"]],
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Mean squares along the principal axes of standardised rows, which come in parts, and the axes: a rotation."""
    products, number = torch.zeros(()), 0
    for part in parts:
        rows = part.double()
        products, number = products + rows.T @ rows, number + len(rows)
    squares, axes = torch.linalg.eigh(products / number)
    return squares.clamp(min=0).float(), axes.float()
