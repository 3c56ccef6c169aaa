"""Minimum description length by prequential coding: bits a label when a probe learns as labels are sent.

Voita & Titov 2020, "Information-theoretic probing with minimum description length", section 3.2. Objects come in
blocks; each block is coded with the probe that was trained on all blocks before, the first with a uniform code.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Int
from torch import Tensor

from gqn_probe.analysis.probes.dataset import ProbeDataset
from gqn_probe.analysis.probes.linear import Softmax
from gqn_probe.analysis.probes.probe_fit import CHUNK, fit_probes

SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)  # of the training objects, at the end of each block


def code_lengths(datasets: Sequence[ProbeDataset], probe: Softmax, *, classes: int, device: str) -> list[float]:
    """Bits a row of each dataset's training rows, in one fit of all blocks and L2 strengths.

    Each block has the strength that its dataset's validation rows choose: few rows need another than many.
    """
    ends = [_ends(dataset.groups, dataset.split.train) for dataset in datasets]
    rows = [dataset.split.train[dataset.groups[dataset.split.train].argsort(stable=True)] for dataset in datasets]
    blocks = [(i, known, upto) for i in range(len(datasets)) for known, upto in pairwise(ends[i])]
    grown = [datasets[i]._replace(split=datasets[i].split._replace(train=rows[i][:known])) for i, known, _ in blocks]
    fitted = fit_probes(grown, probe, classes=classes, rows=probe.rows_an_epoch(len(datasets[0].labels)), device=device)
    chosen = fitted.curves.validation_loss[-1].argmin(dim=1).tolist()
    bits = [own[0] * math.log2(classes) for own in ends]
    for place, (i, known, upto) in enumerate(blocks):
        for part in rows[i][known:upto].split(CHUNK):
            log_probability = fitted.logits(place, chosen[place], datasets[i].features[part]).log_softmax(dim=1)
            bits[i] -= float(log_probability.gather(1, datasets[i].labels[part][:, None]).sum()) / math.log(2)
    return [total / own[-1] for total, own in zip(bits, ends, strict=True)]


def _ends(groups: Int[Tensor, " n"], train: Int[Tensor, " a"]) -> list[int]:
    """Rows known at the end of each block, in whole objects; blocks that would be empty are left out."""
    sizes = groups[train].unique(return_counts=True)[1].cumsum(0)
    ends = [int(sizes[max(1, round(share * len(sizes))) - 1]) for share in SHARES]
    return sorted(set(ends))
