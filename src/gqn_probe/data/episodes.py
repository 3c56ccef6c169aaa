"""Split the views of a scene into context and queries, which make an episode.

Eslami et al. 2018, supplement: the number of context views is uniform in 1..K. The paper draws its query
independently of the context, so that it may be among it; the alternative draws it from the unseen views.
"""

import torch
from einops import rearrange
from jaxtyping import Int
from torch import Tensor

from gqn_probe.types import Batch, Episode, to_unit


def draw_episode(
    batch: Batch, *, context: int, queries: int, unseen_queries: bool, generator: torch.Generator
) -> Episode:
    """Draw ``context`` views to see and ``queries`` views to predict, independently for each scene.

    Args:
        unseen_queries: draw queries from the views outside the context, without replacement.
        generator: of the CPU, so that the draw is the same on every device.

    Raises:
        ValueError: the scenes have too few views.
    """
    scenes, views = batch.frames.shape[:2]
    needed = context + queries if unseen_queries else max(context, queries)
    if needed > views:
        raise ValueError(
            f"an episode of {context} context and {queries} query views needs scenes of {needed} views, "
            f"got {views}: lower training.context or training.queries"
        )
    order = _shuffled_views(scenes, views, generator)
    chosen = order[:, :context]
    asked = order[:, context:needed] if unseen_queries else _shuffled_views(scenes, views, generator)[:, :queries]
    return make_episode(batch, chosen, asked)


def make_episode(batch: Batch, context: Int[Tensor, "b v"], query: Int[Tensor, "b q"]) -> Episode:
    """Return the episode with the given indices of context and query views, one row a scene."""
    device = batch.frames.device
    row = rearrange(torch.arange(len(batch.frames), device=device), "b -> b 1")
    context, query = context.to(device), query.to(device)
    return Episode(
        context_frames=to_unit(batch.frames[row, context]),
        context_cameras=batch.cameras[row, context],
        query_frames=to_unit(batch.frames[row, query]),
        query_cameras=batch.cameras[row, query],
    )


def _shuffled_views(scenes: int, views: int, generator: torch.Generator) -> Int[Tensor, "b v"]:
    return torch.rand(scenes, views, generator=generator).argsort(dim=1)
