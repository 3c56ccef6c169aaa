"""Selection of the views that are summed at each count: of one scene or, in controls, of several.

Selections depend on seed, scene and count alone, so that the job of one count and the whole study make the same.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.data.stimuli.counter_rng import scene_keys, uniform

ORIGINAL_VIEWS = 15  # views a scene in the original study
BLOCK = 512  # scenes summed at a time


class Selection(NamedTuple):
    """Indices of the views that are summed in each row; ``i`` numbers the summands."""

    scenes: Int[Tensor, "s i"]
    views: Int[Tensor, "s i"]


Source = Callable[[int, int, int, int, Int[Tensor, " s"]], Selection]


def view_orders(scenes: int, views: int, seed: int, stream: str = "order") -> Int[Tensor, "s v"]:
    """Return a random permutation of each scene's views: the first k are the context of count k, the last the query."""
    return uniform(scene_keys(torch.arange(scenes), seed=seed, stream=stream), views).argsort(dim=1)


def mixing_groups(scenes: int, largest: int, seed: int) -> Int[Tensor, " s"]:
    """Assign scenes at random to groups of at least ``largest``.

    Views are mixed within groups only, so that a group is the unit of splits and of intervals.
    """
    order = uniform(scene_keys(torch.arange(scenes), seed=seed, stream="mixing groups"), 1)[:, 0].argsort()
    groups = torch.empty(scenes, dtype=torch.int64)
    groups[order] = torch.arange(scenes) * max(1, scenes // largest) // scenes
    return groups


def nested(scenes: int, views: int, count: int, seed: int, groups: Int[Tensor, " s"] | None = None) -> Selection:
    """Select the first ``count`` views of each scene's order: each count adds one view to the one before."""
    chosen = view_orders(scenes, views, seed)[:, :count]
    return Selection(_own_scenes(chosen), chosen)


def independent(scenes: int, views: int, count: int, seed: int, groups: Int[Tensor, " s"] | None = None) -> Selection:
    """Select views drawn anew for every count."""
    chosen = view_orders(scenes, views, seed, f"independent {count}")[:, :count]
    return Selection(_own_scenes(chosen), chosen)


def repeated(scenes: int, views: int, count: int, seed: int, groups: Int[Tensor, " s"] | None = None) -> Selection:
    """Select one view ``count`` times: the count grows, the information does not."""
    chosen = view_orders(scenes, views, seed)[:, :1].expand(scenes, count)
    return Selection(_own_scenes(chosen), chosen)


def incoherent(scenes: int, views: int, count: int, seed: int, groups: Int[Tensor, " s"]) -> Selection:
    """Select one view of each of ``count`` different scenes of a group.

    Raises:
        ValueError: a group has fewer scenes than the count.
    """
    partners = torch.empty(scenes, count, dtype=torch.int64)
    for group in groups.unique():
        members = (groups == group).nonzero()[:, 0]
        if len(members) < count:
            raise ValueError(f"sums of {count} different objects need {count} of them in a group, got {len(members)}")
        # partners stand at the same offsets ahead of every scene in a random ring, so that none is repeated
        ring = members[uniform(scene_keys(members, seed=seed, stream=f"ring {count}"), 1)[:, 0].argsort()]
        ahead = view_orders(1, len(members) - 1, seed, f"ahead {count}")[0, : count - 1] + 1
        for i, distance in enumerate([0, *ahead.tolist()]):
            partners[ring, i] = ring.roll(-distance)
    keys = scene_keys(torch.arange(scenes), seed=seed, stream=f"incoherent {count}")
    return Selection(partners, (uniform(keys, count) * views).long())


SOURCES: dict[str, Source] = {
    "nested": nested,
    "independent": independent,
    "repeated": repeated,
    "incoherent": incoherent,
}


class Task(NamedTuple):
    """The context views of each scene at one count, and its query view."""

    context: Selection
    query: Int[Tensor, " s"]
    query_seen: bool  # the query is among the context views, for lack of another


def nested_task(scenes: int, views: int, count: int, seed: int) -> Task:
    """Return the study's task: the first ``count`` views as context, the last of the order as query at every count."""
    query = view_orders(scenes, views, seed)[:, -1]
    return Task(nested(scenes, views, count, seed), query, query_seen=count >= views)


def original_task(scenes: int, views: int, count: int, seed: int) -> Task:
    """Return the original study's task: ``count`` of the first 15 views drawn anew, the last of which is the query.

    Raises:
        ValueError: the count is 1, which leaves no context.
    """
    if count < 2:
        raise ValueError(f"context={count} leaves no context: the original study counts the query, so begin at 2")
    drawn = independent(scenes, min(views, ORIGINAL_VIEWS), count, seed).views
    context = drawn[:, :-1]
    return Task(Selection(_own_scenes(context), context), drawn[:, -1], query_seen=False)


TASKS = {"study": nested_task, "original": original_task}


def _own_scenes(chosen: Int[Tensor, "s i"]) -> Int[Tensor, "s i"]:
    return torch.arange(len(chosen))[:, None].expand_as(chosen)


def sum_views(
    phi: Float[Tensor, "s v *f"], selection: Selection, *, aggregation: str = "sum"
) -> Float[Tensor, " n *f"]:
    """Sum (or average) the selected views, in order: a nested sum is the one before plus one view, bit for bit."""
    rows = torch.empty(len(selection.scenes), *phi.shape[2:])
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        total = torch.zeros_like(rows[block])
        for scenes, views in zip(selection.scenes[block].unbind(1), selection.views[block].unbind(1), strict=True):
            total += phi[scenes, views]
        rows[block] = total / selection.views.shape[1] if aggregation == "mean" else total
    return rows
