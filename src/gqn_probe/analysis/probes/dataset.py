"""What one probe is trained and scored on."""

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.standardization import CHUNK, Scaling, column_moments, principal_axes
from gqn_probe.analysis.questions.splits import Split
from gqn_probe.atomic_io import reserve


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
    scaling: Scaling = "common"  # how columns are scaled, see ``standardization.py``
    squares: Float[Tensor, " f"] | None = None  # of columns over training rows, once they are their principal axes
    scratch: Path | None = None  # folder for copies of rows that are too many for memory; None keeps them there

    def case(self, probe: str) -> CaseName:
        """The name of this dataset as ``probe`` reads it."""
        return CaseName(self.target, self.input, self.control, probe)


@lru_cache(maxsize=1)  # several probes in turn read one dataset
def to_principal_axes(dataset: ProbeDataset) -> ProbeDataset:
    """The dataset with standardised rows along the principal axes of its training rows: the same models and penalties.

    The length of a sum of views dwarfs every other direction, and lies along no single feature. Along these axes ridge
    is a division, the curvature of a softmax has a diagonal bound, and Adam, which scales each coordinate by itself,
    descends well.
    """
    if dataset.squares is not None:
        return dataset
    mean, scale = column_moments(dataset.features, dataset.split.train, dataset.scaling)
    squares, axes = principal_axes((dataset.features[part] - mean) / scale for part in dataset.split.train.split(CHUNK))

    def along(rows: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
        found = new_rows(len(rows), rows.shape[1], dataset.scratch)
        for part, values in zip(rows.split(CHUNK), found.split(CHUNK), strict=True):
            torch.matmul((part - mean) / scale, axes, out=values)
        return found

    features = along(dataset.features)
    tested = features if dataset.test_features is dataset.features else along(dataset.test_features)
    return dataset._replace(features=features, test_features=tested, squares=squares)


def new_rows(number: int, width: int, scratch: Path | None) -> Float[Tensor, "n f"]:
    """Rows to be filled: in memory, or in a file of the folder ``scratch`` that ends with the tensor."""
    if scratch is None:
        return torch.empty(number, width)
    path = scratch / f".rows.{os.getpid()}.draft.bin"
    reserve(path, 4 * number * width)
    rows = torch.from_file(str(path), shared=True, size=number * width, dtype=torch.float32)
    path.unlink()  # its space is given back once nobody maps it
    return rows.view(number, width)
