"""Design matrices of r whole: reduced alike whatever is summed, while norms and targets see every number."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gqn_probe.analysis.inputs.context_readouts import context_rows
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.inputs.view_selection import nested
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.questions.controls import TRANSFORMS

COUNTS = (1, 3, 5)


@pytest.fixture
def inputs(study_inputs: StudyInputs, settings: StudySettings, tmp_path: Path) -> ProbeInputs:
    narrow = replace(settings, axes=20, inputs=("whole", "pooled"))
    return ProbeInputs(study_inputs, COUNTS, narrow, tmp_path / "rows", torch.rand(24, 3, 6))


def test_sums_along_the_axes_are_the_sums_turned(inputs: ProbeInputs, study_inputs: StudyInputs) -> None:
    rows = inputs.dataset("whole", "none", 0).features.unflatten(0, (24, 3))
    assert rows.shape == (24, 3, 20)
    whole = torch.stack([inputs.unreduced_rows("whole", column) for column in range(3)], dim=1)
    assert whole.shape[2] > 20
    torch.testing.assert_close(whole[:, 1], context_rows(study_inputs, "whole", nested(24, 6, 3, 0)))
    assert 0.5 < inputs.retained["whole"] <= 1
    # a rotation of most of the length: products of rows are nearly what they were
    products, reduced = (torch.einsum("ski,tki->kst", each, each) for each in (whole, rows))
    assert float((products - reduced).norm() / products.norm()) < 0.1


def test_norms_are_of_every_number(inputs: ProbeInputs) -> None:
    found = inputs.dataset("whole", "norm", 0)
    assert found.scaling == "column"
    whole = torch.stack([inputs.unreduced_rows("whole", column) for column in range(3)], dim=1)
    expected = TRANSFORMS["norm"](whole, torch.tensor(COUNTS), torch.Generator())
    torch.testing.assert_close(found.features, expected.flatten(0, 1))


def test_training_and_test_rows_share_their_axes(inputs: ProbeInputs) -> None:
    for given in ("whole", "pooled"):
        transfer = inputs.dataset(given, "transfer", 0)
        assert transfer.features.shape == transfer.test_features.shape
    untrained = [inputs.dataset("whole", "untrained", seed).features for seed in (0, 1, 2)]
    assert torch.equal(untrained[0], untrained[2])  # two encoders take turns
    assert not torch.equal(untrained[0], untrained[1])


def test_rows_of_an_object_are_split_in_an_order_of_its_own(inputs: ProbeInputs) -> None:
    split = inputs.dataset("pooled", "row_split", 0).split
    tested = torch.zeros(24, 3, dtype=torch.bool)
    tested.view(-1)[split.test] = True
    assert (tested.sum(dim=1) == 1).all()
    assert tested.any(dim=0).all()  # every count is tested of some object, and trained on of others
