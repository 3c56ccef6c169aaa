"""r of all objects and counts along its principal axes: as it is, where the count is, and divided by the count.

Both are of the same rows; what each axis holds of the variance stands beside them.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gqn_probe.atomic_io import write_arrays
from gqn_probe.types import Factors

AXES = 16
LARGEST = 500  # objects kept


def write_embedding(
    representations: Float[Tensor, "s k d"], counts: tuple[int, ...], factors: Factors | None, folder: Path
) -> Path:
    """Write ``embedding.npz``: ``sum`` and ``mean`` (s k axes), their shares of the variance, and what objects are.

    ``counts`` (k), ``sum_share`` and ``mean_share`` (axes), and where objects are known ``shape`` (s), up to rotation,
    and ``color`` (s 3), the mean of the cubes' colours.
    """
    some = representations[:LARGEST].double()
    divided = some / torch.tensor(counts, dtype=torch.float64)[:, None]
    arrays: dict[str, np.ndarray] = {"counts": np.array(counts)}
    for name, rows in (("sum", some), ("mean", divided)):
        points, share = principal_axes(rows.flatten(0, 1), AXES)
        arrays[name] = points.unflatten(0, some.shape[:2]).float().numpy()
        arrays[f"{name}_share"] = share.float().numpy()
    if factors is not None:
        arrays["shape"] = factors.shape[:LARGEST].numpy()
        arrays["color"] = factors.colors[:LARGEST].nanmean(dim=1).float().numpy()
    write_arrays(folder / "embedding.npz", arrays)
    return folder / "embedding.npz"


def principal_axes(rows: Float[Tensor, "n d"], axes: int) -> tuple[Float[Tensor, "n a"], Float[Tensor, " a"]]:
    """Centred rows along their leading axes, and the share of the variance along each.

    The sign of an axis is such that its greatest entry is positive: the same rows give the same picture.
    """
    centred = rows - rows.mean(dim=0)
    _, lengths, directions = torch.linalg.svd(centred, full_matrices=False)
    directions = directions[:axes]
    greatest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    share = lengths.square() / lengths.square().sum().clamp(min=1e-30)
    return centred @ (directions * greatest.sign()).T, share[:axes]
