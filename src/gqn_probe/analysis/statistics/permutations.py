"""Permutation tests with labels permuted within objects (Phipson & Smyth 2010 for the p-value)."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

MAX_OBJECTS = 5000  # objects permuted; of more, the first: the test of fewer is the more careful one
AT_A_TIME = 50  # permutations drawn


class WithinObjectPermutations:
    """Orders of the labels of each object, shared by all tests of a study."""

    def __init__(self, objects: int, counts: int, *, permutations: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.objects = min(objects, MAX_OBJECTS)
        # the place of each permuted label in an object's table of labels and predictions
        self.places = torch.empty(permutations, self.objects, counts, dtype=torch.int32)
        for part in self.places.split(AT_A_TIME):
            orders = random.random(part.shape, dtype=np.float32).argsort(axis=2)
            part.copy_(torch.from_numpy(orders * counts + np.arange(counts)))

    def p_value(self, labels: Int[Tensor, "s k"], predicted: Int[Tensor, "s k"], objects: Int[Tensor, " s"]) -> float:
        """How often permuted labels agree with the predictions as well as the true ones do (one-sided).

        The predictions were made without these labels, so under the null their order within an object is free.
        """
        known = objects < self.objects
        labels, predicted, objects = labels[known], predicted[known], objects[known]
        agree = (labels[:, :, None] == predicted[:, None, :]).flatten(1)
        chosen = self.places[:, objects] + (torch.arange(len(objects)) * agree.shape[1])[:, None].int()
        shuffled = agree.flatten().numpy()[chosen.numpy()].sum(axis=(1, 2))
        observed = int((labels == predicted).sum())
        return float((1 + (shuffled >= observed).sum()) / (1 + len(shuffled)))
