"""Minimum description length by prequential coding: bits a label when a probe learns as labels are sent.

Voita & Titov 2020, "Information-theoretic probing with minimum description length", section 3.2. Objects come in
blocks; each block is coded with the probe that was trained on all blocks before, the first with a uniform code.
"""

import math
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import ProbeDataset, along_axes
from gqn_probe.analysis.probes.linear import Linear
from gqn_probe.analysis.probes.standard import CHUNK

SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)  # of the training objects, at the end of each block


def code_lengths(dataset: ProbeDataset, probe: Linear, *, classes: int, device: str = "cpu") -> Float[Tensor, " a"]:
    """Bits of each training row, rows of an object one after another.

    Each block has the strength that the dataset's validation rows choose: few rows need another than many.
    """
    train = dataset.split.train
    rows = train[dataset.groups[train].argsort(stable=True)]
    ends = _ends(dataset.groups, train)
    bits = [torch.full((ends[0],), math.log2(classes))]
    for known, upto in pairwise(ends):
        grown = along_axes(dataset._replace(split=dataset.split._replace(train=rows[:known])))
        fit = probe.fit(grown, classes, device)
        coded, chosen = rows[known:upto], int(fit.loss.argmin())
        for part in coded.split(CHUNK):
            log_probability = fit.logits(chosen, grown.features[part]).log_softmax(dim=1)
            bits.append(-log_probability.gather(1, dataset.labels[part][:, None])[:, 0] / math.log(2))
    return torch.cat(bits)


def _ends(groups: Int[Tensor, " n"], train: Int[Tensor, " a"]) -> list[int]:
    """Rows known at the end of each block, in whole objects; blocks that would be empty are left out."""
    sizes = groups[train].unique(return_counts=True)[1].cumsum(0)
    ends = [int(sizes[max(1, round(share * len(sizes))) - 1]) for share in SHARES]
    return sorted(set(ends))
