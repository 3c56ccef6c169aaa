"""The label-free tally: a direction along which every single view has length 1, so that any sum of views counts them.

``w`` is the ridge regression of the constant 1 on single training views. It has seen neither a sum nor a count; yet
``w . r`` of a sum of k views is about k, whatever the views. What reads a count so well needs no more than that r adds
up views which are all non-negative.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gqn_probe.analysis.probes.standard import CHUNK

STRENGTHS = (1e-8, 1e-6, 1e-4, 1e-2, 1.0)  # times the number of views and their mean square


def tally_direction(
    views: Float[Tensor, "n f"], held: Float[Tensor, "m f"], strengths: Sequence[float] = STRENGTHS
) -> Float[Tensor, " f"]:
    """The direction; its strength is the one under which views of other objects come nearest to 1."""
    products = sum(part.double().T @ part.double() for part in views.split(CHUNK))
    squares, axes = torch.linalg.eigh(products)
    along = axes.T @ views.sum(dim=0, dtype=torch.float64)
    unit = squares.sum().clamp(min=1e-12)
    fits = torch.stack([axes @ (along / (squares.clamp(min=0) + strength * unit)) for strength in strengths])
    errors = torch.stack([(part.double() @ fits.T - 1).square().sum(dim=0) for part in held.split(CHUNK)]).sum(dim=0)
    return fits[int(errors.argmin())].float()


def tally(
    sums: Float[Tensor, "n f"], direction: Float[Tensor, " f"], counts: Float[Tensor, " k"]
) -> Float[Tensor, "n k"]:
    """Logits of the number of summed views: the nearest of ``counts`` is the likeliest."""
    return -((sums @ direction)[:, None] - counts).square()
