"""CKA, drift and dimension on geometries whose answer is known."""

import pytest
import torch

from gqn_probe.analysis.statistics.similarity import participation_ratio, similarity_rows


def _cka(*r: torch.Tensor) -> float:
    """Of two counts, as the study has it."""
    rows = similarity_rows(torch.stack(r, dim=1), (2, 3))
    return next(row.value for row in rows if (row.metric, row.count_a, row.count_b) == ("cka", 2, 3))


def test_cka_sees_through_rotation_scale_and_shift() -> None:
    x = torch.randn(40, 6)
    rotation = torch.linalg.qr(torch.randn(6, 6))[0]
    assert _cka(x, 3 * x @ rotation + 5) == pytest.approx(1, abs=1e-6)


def test_cka_of_strangers_is_zero_even_with_many_features() -> None:
    found = [_cka(torch.randn(50, 200), torch.randn(50, 200)) for _ in range(20)]
    assert sum(found) / 20 == pytest.approx(0, abs=0.03)  # the biased estimate gives about 0.8


def test_below_four_objects_there_is_no_cka() -> None:
    metrics = {row.metric for row in similarity_rows(torch.randn(3, 2, 2), (2, 3))}
    assert metrics == {"drift", "turn", "participation_ratio"}


def test_participation_ratio_counts_dimensions() -> None:
    line = torch.linspace(-1, 1, 30)[:, None] * torch.randn(1, 5)
    assert participation_ratio(line) == pytest.approx(1, abs=1e-6)
    assert participation_ratio(torch.cat([torch.eye(4), -torch.eye(4)])) == pytest.approx(4)
    assert participation_ratio(torch.randn(10, 50)) < 10


def test_drift_of_a_growing_sum() -> None:
    unit = torch.tensor([1.0, 0.0])
    r = torch.stack([k * unit + 0.01 * torch.randn(8, 2) for k in (2, 3)], dim=1)
    rows = {row.metric: row for row in similarity_rows(r, (2, 3)) if row.count_a != row.count_b}
    assert rows["drift"].value == pytest.approx(0.5, abs=0.05)
    assert rows["turn"].value == pytest.approx(0, abs=1)
