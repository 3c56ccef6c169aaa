"""r for a choice of views: the sum (or mean) of per-view representations, view by view in a fixed order."""

import torch
from jaxtyping import Float
from torch import Tensor

from gqn_probe.analysis.views import Selection

BLOCK = 512  # scenes summed at a time


def sum_views(
    phi: Float[Tensor, "s v *f"], selection: Selection, *, aggregation: str = "sum"
) -> Float[Tensor, " r *f"]:
    """One row a selection; rows of a nested order are each the row before plus one view, to the last bit."""
    rows = torch.empty(len(selection.scenes), *phi.shape[2:])
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        total = torch.zeros_like(rows[block])
        for scenes, views in zip(selection.scenes[block].unbind(1), selection.views[block].unbind(1), strict=True):
            total += phi[scenes, views]
        rows[block] = total / selection.views.shape[1] if aggregation == "mean" else total
    return rows
