"""Permutation tests with labels permuted within objects (Phipson & Smyth 2010 for the p-value)."""

import torch
from jaxtyping import Int
from torch import Tensor


class WithinObjectPermutations:
    """Orders of the labels of each object, shared by all tests of a study."""

    def __init__(self, objects: int, counts: int, *, permutations: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.empty(permutations, objects, counts, dtype=torch.uint8)
        for each in self.labels:
            each.copy_(torch.rand(objects, counts, generator=generator).argsort(dim=1))

    def p_value(self, labels: Int[Tensor, "o k"], predicted: Int[Tensor, "o k"], objects: Int[Tensor, " o"]) -> float:
        """How often permuted labels agree with the predictions as well as the true ones do (one-sided).

        The predictions were made without these labels, so under the null their order within an object is free.
        """
        observed = (labels == predicted).sum()
        shuffled = torch.stack([
            (labels.gather(1, each[objects].long()) == predicted).sum() for each in self.labels
        ])  # fmt: skip
        return float((1 + (shuffled >= observed).sum()) / (1 + len(shuffled)))
