"""What one probe is trained and scored on."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.standard import Scaling
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

    def case(self, probe: str) -> CaseName:
        """The name of this dataset as ``probe`` reads it."""
        return CaseName(self.target, self.input, self.control, probe)
