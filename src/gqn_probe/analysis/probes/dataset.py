"""What one probe is trained and scored on."""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.standard import CHUNK, Scaling, moments, principal_axes
from gqn_probe.analysis.questions.splits import Split


class CaseName(NamedTuple):
    """Which probe read what from which input under which control: the first columns of ``results.csv``."""

    target: str
    input: str
    control: str
    probe: str


class ProbeDataset(NamedTuple):
    """Design matrix, labels, group ids and split of one probe."""

    target: str
    input: str  # the read-out point
    control: str
    seed: int  # of the initial weights, of the order of rows and of the split
    features: Float[Tensor, "n f"]  # may be memory-mapped: only the rows of a batch are read at a time
    labels: Int[Tensor, " n"]  # classes from 0
    groups: Int[Tensor, " n"]  # the object of each row: what is split and resampled as a whole
    split: Split  # of rows
    test_features: Float[Tensor, "n f"]  # what test rows are read from; other than ``features`` for transfer alone
    scaling: Scaling = "common"  # how columns are scaled, see ``standard.py``
    squares: Float[Tensor, " f"] | None = None  # of columns over training rows, once they are their principal axes

    def case(self, probe: str) -> CaseName:
        """The name of this dataset as ``probe`` reads it."""
        return CaseName(self.target, self.input, self.control, probe)


@lru_cache(maxsize=1)  # several probes in turn read one dataset
def along_axes(dataset: ProbeDataset) -> ProbeDataset:
    """The dataset with standardised rows along the principal axes of its training rows: the same models and penalties.

    The length of a sum of views dwarfs every other direction, and lies along no single feature. Along these axes ridge
    is a division, the curvature of a softmax has a diagonal bound, and Adam, which scales each coordinate by itself,
    descends well.
    """
    if dataset.squares is not None:
        return dataset
    mean, scale = moments(dataset.features, dataset.split.train, dataset.scaling)
    squares, axes = principal_axes((dataset.features[dataset.split.train] - mean) / scale)

    def along(rows: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
        return torch.cat([((part - mean) / scale) @ axes for part in rows.split(CHUNK)])

    features = along(dataset.features)
    tested = features if dataset.test_features is dataset.features else along(dataset.test_features)
    return dataset._replace(features=features, test_features=tested, squares=squares)
