"""Which views are summed."""

import pytest
import torch

from gqn_probe.analysis.inputs.view_selection import (
    SOURCES,
    incoherent,
    mixing_groups,
    nested,
    nested_task,
    original_task,
    repeated,
    view_orders,
)


def test_each_count_adds_one_view() -> None:
    larger = nested(5, 8, 4, seed=3).views
    assert torch.equal(larger[:, :3], nested(5, 8, 3, seed=3).views)
    assert all(len(row.unique()) == 4 for row in larger)


@pytest.mark.parametrize("source", ["nested", "independent", "repeated"])
def test_a_scene_is_treated_alike_whatever_stands_beside_it(source: str) -> None:
    few, many = (SOURCES[source](n, 8, 4, 1, torch.zeros(n, dtype=torch.long)).views for n in (3, 50))
    assert torch.equal(few, many[:3])


def test_the_query_is_no_context_view_while_there_is_another() -> None:
    task = nested_task(20, 6, 5, seed=0)
    assert not (task.context.views == task.query[:, None]).any()
    assert not task.query_seen
    assert torch.equal(task.query, nested_task(20, 6, 1, seed=0).query)
    assert nested_task(20, 6, 6, seed=0).query_seen


def test_original_counts_the_query() -> None:
    task = original_task(20, 16, 15, seed=0)
    drawn = torch.cat([task.context.views, task.query[:, None]], dim=1)
    assert torch.equal(drawn.sort(dim=1).values, torch.arange(15).expand(20, 15))
    with pytest.raises(ValueError, match="context=1 leaves no context"):
        original_task(20, 15, 1, seed=0)


def test_repeated_sums_one_view() -> None:
    chosen = repeated(5, 8, 4, seed=0).views
    assert (chosen == view_orders(5, 8, 0)[:, :1]).all()


def test_mixtures_have_different_objects_of_one_group() -> None:
    groups = torch.arange(9) % 2
    mixed = incoherent(9, 8, 4, 0, groups).scenes
    assert torch.equal(mixed[:, 0], torch.arange(9))
    assert all(len(row.unique()) == 4 and len((row % 2).unique()) == 1 for row in mixed)
    with pytest.raises(ValueError, match="sums of 5 different objects need 5"):
        incoherent(9, 8, 5, 0, groups)


@pytest.mark.parametrize(("scenes", "sizes"), [(300, {15}), (47, {15, 16}), (29, {29}), (7, {7})])
def test_groups_hold_the_largest_count_where_they_can(scenes: int, sizes: set[int]) -> None:
    assert set(mixing_groups(scenes, 15, seed=0).bincount().tolist()) == sizes
    assert not torch.equal(mixing_groups(60, 15, seed=0), mixing_groups(60, 15, seed=1))
