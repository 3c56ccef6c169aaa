"""How r changes with the count on the same objects: alikeness, drift and dimension."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gqn_probe.results import Similarity

LARGEST = 1000  # objects compared: the similarity of n objects needs n x n products


def _centred_gram(x: Float[Tensor, "s f"]) -> Float[Tensor, "s s"]:
    x = x.double() - x.double().mean(dim=0)  # the estimate does not see a shift; this keeps its sums small
    return (x @ x.T).fill_diagonal_(0)


def _hsic(first: Float[Tensor, "s s"], second: Float[Tensor, "s s"]) -> Float[Tensor, ""]:
    """The unbiased estimate: Song et al. 2012, "Feature selection via dependence maximization", equation 5."""
    n = len(first)
    alike = (first * second).sum() + first.sum() * second.sum() / ((n - 1) * (n - 2))
    return (alike - 2 * first.sum(dim=0) @ second.sum(dim=1) / (n - 2)) / (n * (n - 3))


def participation_ratio(x: Float[Tensor, "s f"]) -> float:
    """The number of dimensions that objects spread over, 1..f: squared trace over squared length of the covariance.

    Gao et al. 2017, "A theory of multineuronal dimensionality, dynamics and measurement", equation 5.
    """
    x = x.double() - x.double().mean(dim=0)
    covariance = x.T @ x if x.shape[1] <= len(x) else x @ x.T  # the same eigenvalues but for zeros
    return float(covariance.trace() ** 2 / covariance.square().sum())


def similarity_rows(representations: Float[Tensor, "s k d"], counts: tuple[int, ...]) -> Iterator[Similarity]:
    """CKA of all pairs of counts; drift of the mean from one count to the next; dimension at each count.

    ``cka`` is linear centred kernel alignment, debiased: 1 for equal geometry, 0 for none shared (Nguyen, Raghu &
    Kornblith 2021, "Do wide and deep networks learn the same things?", equation 3); left out below four objects.
    ``drift`` is the distance of the means over the length of the earlier one; ``turn`` is their angle in degrees.
    """
    some = rearrange(representations[:LARGEST], "s k d -> k s d")
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
