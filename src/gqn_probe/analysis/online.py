"""Minimum description length by online code: how few bits the labels take when a probe learns as they are sent.

Voita & Titov 2020, "Information-theoretic probing with minimum description length", section 3.2. Objects come in
blocks; each block is coded with the probe that was trained on all blocks before, the first with a uniform code.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Int
from torch import Tensor

from gqn_probe.analysis.probes import Reading, Softmax
from gqn_probe.training.probe_fit import CHUNK, fit_probes
from gqn_probe.training.probe_module import Problem

SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)  # of the training objects, at the end of each block


def code_lengths(readings: Sequence[Reading], probe: Softmax, *, classes: int, device: str) -> list[float]:
    """Bits a row of each case's training rows, in one fit, each with the L2 strength that its validation chose."""
    problems, strengths, blocks = [], [], []
    for reading in readings:
        case = reading.case
        ends = _ends(case.objects, case.split.train)
        rows = case.split.train[case.objects[case.split.train].argsort(stable=True)]
        for known, upto in pairwise(ends):
            validation = rows[known:upto]
            problems.append(Problem(case.inputs, case.labels, rows[:known], validation, case.seed))
            strengths.append([reading.setting])
            blocks.append(validation)
    fitted = fit_probes(problems, probe, classes=classes, l2=torch.tensor(strengths), device=device)
    lengths, i = [], 0
    for reading in readings:
        case = reading.case
        ends = _ends(case.objects, case.split.train)
        bits = ends[0] * math.log2(classes)
        for _ in ends[1:]:
            for part in blocks[i].split(CHUNK):
                log_probability = fitted.logits(i, 0, case.inputs[part]).log_softmax(dim=1)
                bits -= float(log_probability.gather(1, case.labels[part][:, None]).sum()) / math.log(2)
            i += 1
        lengths.append(bits / ends[-1])
    return lengths


def _ends(objects: Int[Tensor, " n"], train: Int[Tensor, " a"]) -> list[int]:
    """Rows known at the end of each block, in whole objects; blocks that would be empty are left out."""
    sizes = objects[train].unique(return_counts=True)[1].cumsum(0)
    ends = [int(sizes[max(1, round(share * len(sizes))) - 1]) for share in SHARES]
    return sorted(set(ends))
