"""CKA, drift, dimension, principal axes and neighbourhoods of geometries whose answer is known."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gqn_probe.analysis.statistics.geometry import (
    participation_ratio,
    principal_axes,
    similarity_rows,
    write_embedding,
)
from gqn_probe.types import Scenes


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


def test_axes_are_found_in_the_order_of_their_variance():
    random = torch.Generator().manual_seed(0)
    planted = torch.randn(500, 2, generator=random, dtype=torch.float64) * torch.tensor([3.0, 1.0])
    turn = torch.linalg.qr(torch.randn(6, 6, generator=random, dtype=torch.float64))[0][:2]
    points, share = principal_axes(planted @ turn + 5, 2)
    assert share.tolist() == pytest.approx([0.9, 0.1], abs=0.03)
    assert np.abs(np.corrcoef(points[:, 0], planted[:, 0])[0, 1]) > 0.99
    again, _ = principal_axes(planted @ turn + 7, 2)
    torch.testing.assert_close(points, again)


def test_divided_by_the_count_a_growing_sum_stays_where_it_is(rendered: Scenes, tmp_path: Path):
    objects = torch.randn(24, 1, 5, generator=torch.Generator().manual_seed(1)).abs()
    counts = (2, 4, 8)
    path = write_embedding(objects * torch.tensor(counts)[:, None], counts, rendered.factors, tmp_path)
    told = np.load(path)
    assert told["sum"].shape == told["mean"].shape == (24, 3, 5)
    assert np.ptp(told["mean"], axis=1).max() < 1e-5
    assert np.ptp(told["sum"], axis=1).max() > 1
    assert told["color"].shape == (24, 3)
    assert told["counts"].tolist() == [2, 4, 8]


def test_groups_are_neighbours(tmp_path: Path):
    """Sixty objects of three kinds, far apart: the nearest in the plane is of the same kind."""
    pytest.importorskip("sklearn")
    random = torch.Generator().manual_seed(2)
    kind = torch.arange(60) % 3
    objects = 10 * torch.eye(8)[kind] + torch.randn(60, 8, generator=random)
    counts = torch.tensor([2, 8, 15])
    told = np.load(write_embedding(objects[:, None] * counts[:, None], tuple(counts.tolist()), None, tmp_path))
    assert told["neighbours_counts"].tolist() == [2, 8, 15]
    plane = told["neighbours"].reshape(-1, 2)
    apart = np.linalg.norm(plane[:, None] - plane[None], axis=-1) + 1e9 * np.eye(len(plane))
    rows = kind.numpy().repeat(3)
    assert (rows[apart.argmin(axis=1)] == rows).mean() > 0.95
    assert str(told["neighbours_method"]) in ("UMAP", "t-SNE")


def test_without_a_library_there_are_no_neighbourhoods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for library in ("umap", "sklearn.manifold"):
        monkeypatch.setitem(sys.modules, library, None)  # importing it raises ImportError
    assert "neighbours" not in np.load(write_embedding(torch.rand(60, 2, 4), (1, 2), None, tmp_path))
