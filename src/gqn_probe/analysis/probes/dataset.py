"""A case: everything that one probe is trained and scored on."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.analysis.probes.probe_module import Problem
from gqn_probe.analysis.questions.splits import Split


class Case(NamedTuple):
    """One probe's rows: an input under a control with a seed, and what is to be read from it."""

    target: str
    input: str
    control: str
    seed: int
    inputs: Float[Tensor, "n f"]
    labels: Int[Tensor, " n"]  # classes
    objects: Int[Tensor, " n"]
    split: Split  # of rows
    tested: Float[Tensor, "n f"]  # what test rows are read from; the training inputs but for transfer

    def problem(self) -> Problem:
        return Problem(self.inputs, self.labels, self.split.train, self.split.validation, self.seed)
