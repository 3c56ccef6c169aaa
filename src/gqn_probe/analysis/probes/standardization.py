"""Standardisation of rows and their principal axes, estimated on training rows alone."""

from collections.abc import Iterable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = 8192  # rows read at a time
DEAD = 1e-6  # coefficient of variation below which a column counts as constant

Scaling = Literal["common", "column"]


def column_moments(
    features: Float[Tensor, "n d"], rows: Int[Tensor, " a"], scaling: Scaling = "common"
) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Return mean and scale of the columns over ``rows``, in two streamed passes.

    ``common`` is one scale for all columns, the root of their mean variance, so that a unit that hardly ever fires is
    not amplified to weigh as much as any; ``column`` is the standard deviation of each, for columns in different units.
    The scale of a constant column is infinite, which removes it.
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
    """Return the mean squares along the principal axes of standardised rows, given in parts, and the axes (columns)."""
    products, number = torch.zeros(()), 0
    for part in parts:
        rows = part.double()
        products, number = products + rows.T @ rows, number + len(rows)
    squares, axes = torch.linalg.eigh(products / number)
    return squares.clamp(min=0).float(), axes.float()
