"""Geometry of r at each count: CKA between counts, drift of the mean, dimensionality, embeddings for display.

Embeddings are principal axes and, if installed, UMAP (McInnes et al. 2018) or else scikit-learn's t-SNE (van der Maaten
& Hinton 2008).
"""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gqn_probe.atomic_io import write_arrays
from gqn_probe.results import Similarity
from gqn_probe.types import Factors

MAX_OBJECTS = 1000  # objects compared by CKA, whose cost is quadratic
AXES = 16
EMBEDDED = 500  # objects embedded, at most
MIN_OBJECTS = 50  # objects for a neighbour embedding
COUNTS = 3  # counts in the neighbour embedding, from the smallest to the largest


def _centred_gram(x: Float[Tensor, "s f"]) -> Float[Tensor, "s s"]:
    x = x.double() - x.double().mean(dim=0)  # the estimate is invariant to shifts; centring keeps its sums small
    return (x @ x.T).fill_diagonal_(0)


def _hsic(first: Float[Tensor, "s s"], second: Float[Tensor, "s s"]) -> Float[Tensor, ""]:
    """Return unbiased HSIC (Song et al. 2012, "Feature selection via dependence maximization", equation 5)."""
    n = len(first)
    alike = (first * second).sum() + first.sum() * second.sum() / ((n - 1) * (n - 2))
    return (alike - 2 * first.sum(dim=0) @ second.sum(dim=1) / (n - 2)) / (n * (n - 3))


def participation_ratio(x: Float[Tensor, "s f"]) -> float:
    """Return the effective dimensionality, 1..f: squared trace over squared Frobenius norm of the covariance.

    Gao et al. 2017, "A theory of multineuronal dimensionality, dynamics and measurement", equation 5.
    """
    x = x.double() - x.double().mean(dim=0)
    covariance = x.T @ x if x.shape[1] <= len(x) else x @ x.T  # the same eigenvalues but for zeros
    return float(covariance.trace() ** 2 / covariance.square().sum())


def similarity_rows(representations: Float[Tensor, "s k d"], counts: tuple[int, ...]) -> Iterator[Similarity]:
    """Yield CKA of all pairs of counts, shift of the mean between successive counts, dimensionality at each count.

    ``cka`` is debiased linear centred kernel alignment: 1 for equal geometry, 0 for none in common (Nguyen, Raghu &
    Kornblith 2021, "Do wide and deep networks learn the same things?", equation 3); needs four objects. ``drift`` is
    the distance of successive means over the norm of the earlier, ``turn`` their angle in degrees.
    """
    some = rearrange(representations[:MAX_OBJECTS], "s k d -> k s d")
    grams = [_centred_gram(x) for x in some]
    own = [_hsic(gram, gram) for gram in grams]
    for i, first in enumerate(counts):
        for j, second in list(enumerate(counts))[i:]:
            if len(grams[0]) >= 4:
                yield Similarity("cka", first, second, float(_hsic(grams[i], grams[j]) / (own[i] * own[j]).sqrt()))
    means = torch.stack([x.double().mean(dim=0) for x in some])
    for i, (first, second) in enumerate(pairwise(counts)):
        before, after = means[i], means[i + 1]
        yield Similarity("drift", first, second, float((after - before).norm() / before.norm()))
        cosine = torch.nn.functional.cosine_similarity(before, after, dim=0).clamp(-1, 1)
        yield Similarity("turn", first, second, float(cosine.arccos().rad2deg()))
    for count, x in zip(counts, some, strict=True):
        yield Similarity("participation_ratio", count, count, participation_ratio(x))


def write_embedding(
    representations: Float[Tensor, "s k d"], counts: tuple[int, ...], factors: Factors | None, folder: Path
) -> Path:
    """Write ``embedding.npz``: low-dimensional embeddings of r for all objects and counts.

    ``sum`` (s k axes) is r along its principal axes and ``mean`` r / count along its own, with the shares of variance
    ``sum_share`` and ``mean_share`` (axes); ``counts`` (k). Of known objects ``shape`` (s), up to rotation, and mean
    ``color`` (s 3). ``neighbours`` (s c 2) embeds r / count at ``neighbours_counts`` (c) by ``neighbours_method``.
    """
    some = representations[:EMBEDDED].double()
    divided = some / torch.tensor(counts, dtype=torch.float64)[:, None]
    arrays: dict[str, np.ndarray] = {"counts": np.array(counts)}
    for name, rows in (("sum", some), ("mean", divided)):
        points, share = principal_axes(rows.flatten(0, 1), AXES)
        arrays[name] = points.unflatten(0, some.shape[:2]).float().numpy()
        arrays[f"{name}_share"] = share.float().numpy()
    chosen = np.unique(np.linspace(0, len(counts) - 1, COUNTS).round().astype(int))
    found = embed_neighbours(divided[:, chosen].flatten(0, 1)) if len(some) >= MIN_OBJECTS else None
    if found is not None:
        method, plane = found
        arrays["neighbours"] = plane.reshape(len(some), len(chosen), 2)
        arrays |= {"neighbours_counts": np.array(counts)[chosen], "neighbours_method": np.array(method)}
    if factors is not None:
        arrays["shape"] = factors.shape[:EMBEDDED].numpy()
        arrays["color"] = factors.colors[:EMBEDDED].nanmean(dim=1).float().numpy()
    write_arrays(folder / "embedding.npz", arrays)
    return folder / "embedding.npz"


def principal_axes(rows: Float[Tensor, "n d"], axes: int) -> tuple[Float[Tensor, "n axis"], Float[Tensor, " axis"]]:
    """Project centred rows to their leading principal axes; return them and each axis' share of the variance.

    The largest entry of an axis is positive, which makes signs reproducible.
    """
    centred = rows - rows.mean(dim=0)
    _, lengths, directions = torch.linalg.svd(centred, full_matrices=False)
    directions = directions[:axes]
    greatest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    share = lengths.square() / lengths.square().sum().clamp(min=1e-30)
    return centred @ (directions * greatest.sign()).T, share[:axes]


def embed_neighbours(rows: Float[Tensor, "n d"]) -> tuple[str, Float[np.ndarray, "n 2"]] | None:
    """Embed rows in a plane, neighbours near each other: by UMAP, else t-SNE; None if neither is installed."""
    points = principal_axes(rows, AXES)[0].float().numpy()
    with warnings.catch_warnings(action="ignore"):  # of UMAP: that a seed leaves it one thread
        with suppress(ImportError):
            from umap import UMAP  # pyright: ignore[reportMissingImports]  (of an extra)

            return "UMAP", np.asarray(UMAP(random_state=0).fit_transform(points), np.float32)
        with suppress(ImportError):
            from sklearn.manifold import TSNE

            return "t-SNE", TSNE(init="pca", max_iter=500, random_state=0).fit_transform(points).astype(np.float32)
    return None
