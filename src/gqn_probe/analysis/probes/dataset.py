"""The data set of one probe: design matrix, labels, groups and split; its rotation to principal axes."""

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
    """Target, input, control and probe of a result: the first columns of ``results.csv``."""

    target: str
    input: str
    control: str
    probe: str


class ProbeDataset(NamedTuple):
    """Design matrix, labels, group ids and split of one probe."""

    target: str
    input: str  # the read-out point
    control: str
    seed: int  # of split, initial weights and order of rows
    features: Float[Tensor, "n f"]  # may be memory-mapped: read in chunks
    labels: Int[Tensor, " n"]  # classes from 0
    groups: Int[Tensor, " n"]  # the object of each row; no object is on both sides of a split
    split: Split  # of rows
    test_features: Float[Tensor, "n f"]  # of test rows; differs from ``features`` for the control ``transfer`` alone
    encoder: int = 0  # the untrained encoder that rows are of; 0 for the trained one
    scaling: Scaling = "common"  # how columns are scaled, see ``standardization.py``
    squares: Float[Tensor, " f"] | None = None  # mean squares along principal axes; None: not rotated to them
    scratch: Path | None = None  # folder for copies of rows that exceed memory; None: copies are held in memory

    def case(self, probe: str) -> CaseName:
        """Return the case of this data set and ``probe``."""
        return CaseName(self.target, self.input, self.control, probe)


@lru_cache(maxsize=1)  # several probes in turn read one dataset
def to_principal_axes(dataset: ProbeDataset) -> ProbeDataset:
    """Standardise rows and rotate them to the principal axes of the training rows (fitted on these alone).

    A rotation changes neither linear models nor L2 penalties, but conditioning: the length of a sum of views dwarfs all
    other directions and lies along no single feature. Along these axes ridge regression is a division, the Hessian of
    multinomial regression has a diagonal bound, and the coordinate-wise steps of Adam are well scaled.
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
    """Return an uninitialised matrix: in memory, or in a file in ``scratch`` that is freed with the tensor."""
    if scratch is None:
        return torch.empty(number, width)
    path = scratch / f".rows.{os.getpid()}.draft.bin"
    reserve(path, 4 * number * width)
    rows = torch.from_file(str(path), shared=True, size=number * width, dtype=torch.float32)
    path.unlink()  # its space is given back once nobody maps it
    return rows.view(number, width)
