"""Context and query views of episodes."""

import pytest
import torch

from gqn_probe.data.episodes import draw_episode, make_episode
from gqn_probe.types import Batch


def numbered_batch(scenes: int = 3, views: int = 8) -> Batch:
    """Frames and cameras that carry the number of their scene and view."""
    number = torch.arange(scenes)[:, None] * 16 + torch.arange(views)
    frames = number[:, :, None, None, None].expand(scenes, views, 3, 4, 4).to(torch.uint8)
    return Batch(frames, number[..., None].expand(scenes, views, 7).float(), torch.arange(scenes))


def seen(frames: torch.Tensor) -> list[set[int]]:
    return [set(row.tolist()) for row in (frames[:, :, 0, 0, 0] * 255).round().int()]


def test_unseen_queries_are_outside_the_context_of_their_own_scene():
    generator = torch.Generator().manual_seed(0)
    episode = draw_episode(numbered_batch(), context=5, queries=3, unseen_queries=True, generator=generator)
    for scene, (context, query) in enumerate(
        zip(seen(episode.context_frames), seen(episode.query_frames), strict=True)
    ):
        assert context | query == set(range(16 * scene, 16 * scene + 8))


def test_cameras_stay_with_their_frames_and_pixels_are_unit():
    episode = make_episode(numbered_batch(), torch.tensor([[0, 2]] * 3), torch.tensor([[7]] * 3))
    torch.testing.assert_close(episode.context_frames[..., 0, 0, 0] * 255, episode.context_cameras[..., 0])
    torch.testing.assert_close(episode.query_frames[:, 0, 0, 0, 0] * 255, torch.tensor([7.0, 23.0, 39.0]))


def test_the_papers_query_may_be_in_the_context():
    generator = torch.Generator().manual_seed(0)
    episode = draw_episode(numbered_batch(), context=8, queries=1, unseen_queries=False, generator=generator)
    assert all(q <= c for c, q in zip(seen(episode.context_frames), seen(episode.query_frames), strict=True))


def test_same_generator_same_episode():
    draws = [
        draw_episode(
            numbered_batch(),
            context=4,
            queries=2,
            unseen_queries=True,
            generator=torch.Generator().manual_seed(5),
        )
        for _ in range(2)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*draws, strict=True))


def test_too_few_views_name_both_numbers():
    with pytest.raises(ValueError, match="needs scenes of 9 views, got 8"):
        draw_episode(numbered_batch(), context=8, queries=1, unseen_queries=True, generator=torch.Generator())
