"""Permutation test with labels permuted within objects, alike in those of a unit; p-value of Phipson & Smyth 2010."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

MAX_OBJECTS = 5000  # objects tested, at most: the first, which is conservative
AT_A_TIME = 50  # permutations drawn in one array


class WithinObjectPermutations:
    """Random permutations of each object's labels, shared by all tests of a study."""

    def __init__(self, objects: int, counts: int, *, permutations: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.objects = min(objects, MAX_OBJECTS)
        # index of each permuted label in the flattened table (label x prediction) of an object
        self.places = torch.empty(permutations, self.objects, counts, dtype=torch.int32)
        for part in self.places.split(AT_A_TIME):
            orders = random.random(part.shape, dtype=np.float32).argsort(axis=2)
            part.copy_(torch.from_numpy(orders * counts + np.arange(counts)))

    def p_value(
        self,
        labels: Int[Tensor, "s k"],
        predicted: Int[Tensor, "s k"],
        objects: Int[Tensor, " s"],
        units: Int[Tensor, " s"],
    ) -> float:
        """Return the one-sided p-value of the number of correct predictions.

        Test labels were not used for predicting: under the null hypothesis they are exchangeable within an object.
        Objects of a unit, such as those that share views in their mixtures, are permuted alike.
        """
        known = objects < self.objects
        labels, predicted, units = labels[known], predicted[known], units[known]
        agree = (labels[:, :, None] == predicted[:, None, :]).flatten(1)
        chosen = self.places[:, units] + (torch.arange(len(units)) * agree.shape[1])[:, None].int()
        shuffled = agree.flatten().numpy()[chosen.numpy()].sum(axis=(1, 2))
        observed = int((labels == predicted).sum())
        return float((1 + (shuffled >= observed).sum()) / (1 + len(shuffled)))
