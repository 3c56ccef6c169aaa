"""No object is in two parts, and five seeds test each once."""

import pytest
import torch

from gqn_probe.analysis.questions.splits import drawn, folds_of, rows_of, split_groups, split_rows


def test_parts_share_no_object_and_leave_none_out() -> None:
    for seed in range(7):
        parts = split_groups(torch.arange(53), seed)
        assert torch.equal(torch.cat(parts).sort().values, torch.arange(53))
        assert len(parts.test) in (10, 11)


def test_five_seeds_test_every_object_once() -> None:
    tested = torch.cat([split_groups(torch.arange(53), seed).test for seed in range(5)])
    assert torch.equal(tested.sort().values, torch.arange(53))
    assert not torch.equal(split_groups(torch.arange(53), 5).test, split_groups(torch.arange(53), 0).test)


def test_as_many_seeds_as_shapes_test_each_once() -> None:
    shapes = torch.arange(60) % 4
    assert folds_of(shapes) == 4
    for first in (0, 4):
        tested = torch.cat([split_groups(shapes, seed).test for seed in range(first, first + 4)])
        assert torch.equal(tested.sort().values, torch.arange(60))


def test_no_shape_is_in_two_parts() -> None:
    shapes = torch.randint(7, (60,))
    parts = split_groups(shapes, 0)
    seen = [set(shapes[part].tolist()) for part in parts]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    assert sum(map(len, parts)) == 60


def test_draws_are_nested_and_from_objects_in_any_order() -> None:
    objects = torch.arange(100, 200)
    few, more = drawn(objects, 20, seed=4), drawn(objects, 50, seed=4)
    assert torch.equal(few, few.unique())
    assert set(few.tolist()) < set(more.tolist())
    assert len(few[few < 150]) in range(5, 16)  # objects may lie in the order of a property
    assert not torch.equal(few, drawn(objects, 20, seed=5))
    assert torch.equal(drawn(objects, 100, seed=4), objects)


def test_rows_follow_their_objects() -> None:
    assert rows_of(torch.tensor([2, 0]), 3).tolist() == [6, 7, 8, 0, 1, 2]


def test_split_by_row_has_every_object_in_every_part() -> None:
    parts = split_rows(10, 14, seed=1)
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(140))
    assert all((part // 14).unique().numel() == 10 for part in parts)


def test_rows_of_two_counts_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="needs 3 counts or more, got 2"):
        split_rows(10, 2, seed=0)


def test_two_groups_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="needs 3 groups or more, got 2"):
        split_groups(torch.tensor([4, 4, 9]), 0)
