"""The order of batches: a pure function of seed, epoch and rank, resumable at any batch."""

import pytest
import torch

from gqn_probe.data.loader import SceneBatchSampler, SceneLoader
from gqn_probe.data.workers import worker_settings


def rows(batches: SceneBatchSampler, epoch: int = 0) -> list[list[int]]:
    batches.set_epoch(epoch)
    return [batch.tolist() for batch in batches]


def test_order_is_a_function_of_seed_and_epoch() -> None:
    first = SceneBatchSampler(50, 8, seed=1, train=True)
    epochs = [rows(first, epoch) for epoch in range(3)]
    assert rows(SceneBatchSampler(50, 8, seed=1, train=True), 2) == epochs[2]
    assert epochs[0] != epochs[1]
    assert rows(SceneBatchSampler(50, 8, seed=2, train=True), 0) != epochs[0]
    assert [len(batch) for batch in epochs[0]] == [8] * 6 == [8] * len(first)
    assert len({row for batch in epochs[0] for row in batch}) == 48


def test_ranks_share_an_epoch_without_overlap() -> None:
    ranks = [rows(SceneBatchSampler(103, 8, seed=0, train=True, rank=rank, world=4)) for rank in range(4)]
    assert [len(batches) for batches in ranks] == [3] * 4
    seen = [row for batches in ranks for batch in batches for row in batch]
    assert len(seen) == len(set(seen)) == 96


def test_evaluation_shows_every_scene_in_order() -> None:
    assert rows(SceneBatchSampler(10, 4, seed=0, train=False)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    ranks = [rows(SceneBatchSampler(5, 2, seed=0, train=False, rank=rank, world=2)) for rank in range(2)]
    assert ranks == [[[0, 2], [4]], [[1, 3], [0]]]


def test_fresh_rows_never_recur() -> None:
    ranks = [SceneBatchSampler(12, 3, seed=0, train=True, fresh=True, rank=rank, world=2) for rank in range(2)]
    seen = [row for batches in ranks for epoch in range(4) for batch in rows(batches, epoch) for row in batch]
    assert sorted(seen) == list(range(48))


def test_few_scenes_make_one_small_batch_and_too_few_are_refused() -> None:
    assert [sorted(batch) for batch in rows(SceneBatchSampler(3, 36, seed=0, train=True))] == [[0, 1, 2]]
    with pytest.raises(ValueError, match="3 scenes cannot be shared by 4 devices"):
        SceneBatchSampler(3, 36, seed=0, train=True, world=4)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stop", [1, 4, 6])
def test_a_loader_goes_on_where_it_stopped(workers: int, stop: int) -> None:
    def loader() -> SceneLoader:
        return SceneLoader(
            torch.arange(50),  # pyright: ignore[reportArgumentType]
            batch_size=None,
            sampler=SceneBatchSampler(50, 8, seed=3, train=True),
            **worker_settings(workers),
        )

    uninterrupted = loader()
    expected = []
    for epoch in range(5, 7):
        uninterrupted.sampler.set_epoch(epoch)
        expected += [batch.tolist() for batch in uninterrupted]
    first = loader()
    first.sampler.set_epoch(5)
    iterator = iter(first)
    found = [next(iterator).tolist() for _ in range(stop)]
    state = first.state_dict()

    resumed = loader()
    resumed.load_state_dict(state)
    assert len(resumed) == 6
    for epoch in range(state["epoch"], 7):
        resumed.sampler.set_epoch(epoch)
        found += [batch.tolist() for batch in resumed]
    assert found == expected
