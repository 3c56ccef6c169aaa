"""r of all objects and counts in the plane: along its principal axes, and by its neighbourhoods.

Principal axes are of r as it is, where the count is, and divided by the count, with what each axis holds of the
variance. Neighbourhoods are by UMAP (McInnes et al. 2018) where it is installed, else by scikit-learn's t-SNE (van der
Maaten & Hinton 2008) where that is, else left out.
"""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gqn_probe.atomic_io import write_arrays
from gqn_probe.types import Factors

AXES = 16
LARGEST = 500  # objects kept
FEWEST = 50  # objects that have neighbourhoods to speak of
COUNTS = 3  # of which neighbourhoods are shown, from the smallest to the largest


def write_embedding(
    representations: Float[Tensor, "s k d"], counts: tuple[int, ...], factors: Factors | None, folder: Path
) -> Path:
    """Write ``embedding.npz``: ``sum`` and ``mean`` (s k axes), their shares of the variance, and what objects are.

    ``counts`` (k), ``sum_share`` and ``mean_share`` (axes), and where objects are known ``shape`` (s), up to rotation,
    and ``color`` (s 3), the mean of the cubes' colours. Where it could be made, ``neighbours`` (s c 2), of r divided by
    the count at ``neighbours_counts`` (c), by ``neighbours_method``.
    """
    some = representations[:LARGEST].double()
    divided = some / torch.tensor(counts, dtype=torch.float64)[:, None]
    arrays: dict[str, np.ndarray] = {"counts": np.array(counts)}
    for name, rows in (("sum", some), ("mean", divided)):
        points, share = principal_axes(rows.flatten(0, 1), AXES)
        arrays[name] = points.unflatten(0, some.shape[:2]).float().numpy()
        arrays[f"{name}_share"] = share.float().numpy()
    chosen = np.unique(np.linspace(0, len(counts) - 1, COUNTS).round().astype(int))
    found = neighbour_plane(divided[:, chosen].flatten(0, 1)) if len(some) >= FEWEST else None
    if found is not None:
        method, plane = found
        arrays["neighbours"] = plane.reshape(len(some), len(chosen), 2)
        arrays |= {"neighbours_counts": np.array(counts)[chosen], "neighbours_method": np.array(method)}
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


def neighbour_plane(rows: Float[Tensor, "n d"]) -> tuple[str, Float[np.ndarray, "n 2"]] | None:
    """The rows in a plane that keeps near ones together, and by which method; None where no library has one."""
    points = principal_axes(rows, AXES)[0].float().numpy()
    with warnings.catch_warnings(action="ignore"):  # of UMAP: that a seed leaves it one thread
        if importlib.util.find_spec("umap") is not None:
            from umap import UMAP  # pyright: ignore[reportMissingImports]  (of an extra)

            return "UMAP", np.asarray(UMAP(random_state=0).fit_transform(points), np.float32)
        if importlib.util.find_spec("sklearn") is not None:
            from sklearn.manifold import TSNE

            return "t-SNE", TSNE(init="pca", max_iter=500, random_state=0).fit_transform(points).astype(np.float32)
    return None
