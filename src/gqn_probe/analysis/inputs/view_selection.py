"""Selections of views to be summed: each row of the study is one, of one scene or, in a control, of several.

Every choice depends on the seed, the scene and the count alone, so that a job makes the choices that the whole makes.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gqn_probe.data.stimuli.counter_rng import scene_keys, uniform

ORIGINAL_VIEWS = 15  # a scene of the original study
BLOCK = 512  # scenes summed at a time


class Selection(NamedTuple):
    """The views that the rows of one count sum up; ``i`` is the place in the sum."""

    scenes: Int[Tensor, "s i"]
    views: Int[Tensor, "s i"]


Source = Callable[[int, int, int, int, Int[Tensor, " s"]], Selection]


def view_orders(scenes: int, views: int, seed: int, stream: str = "order") -> Int[Tensor, "s v"]:
    """A permutation of the views of each scene: the first k are the context of count k, the last is the query."""
    return uniform(scene_keys(torch.arange(scenes), seed=seed, stream=stream), views).argsort(dim=1)


def mixing_groups(scenes: int, largest: int, seed: int) -> Int[Tensor, " s"]:
    """The group of each scene, drawn at random, of ``largest`` scenes or a few more.

    Only scenes of one group are summed together, so groups can be split and resampled as if they were objects.
    """
    order = uniform(scene_keys(torch.arange(scenes), seed=seed, stream="mixing groups"), 1)[:, 0].argsort()
    groups = torch.empty(scenes, dtype=torch.int64)
    groups[order] = torch.arange(scenes) * max(1, scenes // largest) // scenes
    return groups


def nested(scenes: int, views: int, count: int, seed: int, groups: Int[Tensor, " s"] | None = None) -> Selection:
    """Each count adds one view to the last."""
    chosen = view_orders(scenes, views, seed)[:, :count]
    return Selection(_own_scenes(chosen), chosen)


def independent(scenes: int, views: int, count: int, seed: int, groups: Int[Tensor, " s"] | None = None) -> Selection:
    """Views drawn anew for every count."""
    chosen = view_orders(scenes, views, seed, f"independent {count}")[:, :count]
    return Selection(_own_scenes(chosen), chosen)


def repeated(scenes: int, views: int, count: int, seed: int, groups: Int[Tensor, " s"] | None = None) -> Selection:
    """One view again and again: the count without any information."""
    chosen = view_orders(scenes, views, seed)[:, :1].expand(scenes, count)
    return Selection(_own_scenes(chosen), chosen)


def incoherent(scenes: int, views: int, count: int, seed: int, groups: Int[Tensor, " s"]) -> Selection:
    """Views of ``count`` different scenes of one group.

    Raises:
        ValueError: a group has fewer scenes than the count.
    """
    partners = torch.empty(scenes, count, dtype=torch.int64)
    for group in groups.unique():
        members = (groups == group).nonzero()[:, 0]
        if len(members) < count:
            raise ValueError(f"sums of {count} different objects need {count} of them in a group, got {len(members)}")
        # in a ring of random order, partners are the same distances ahead of every scene: never one twice
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
    query_seen: bool  # the query is one of the context's views, because no other is left


def nested_task(scenes: int, views: int, count: int, seed: int) -> Task:
    """The first ``count`` views of each scene's order; the last is asked for at every count."""
    query = view_orders(scenes, views, seed)[:, -1]
    return Task(nested(scenes, views, count, seed), query, query_seen=count >= views)


def original_task(scenes: int, views: int, count: int, seed: int) -> Task:
    """The original study's: ``count`` of the first 15 views drawn anew, the last asked for, the others context.

    Raises:
        ValueError: a count of 1, which leaves no context.
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
    """One row a selection; rows of a nested order are each the row before plus one view, to the last bit."""
    rows = torch.empty(len(selection.scenes), *phi.shape[2:])
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        total = torch.zeros_like(rows[block])
        for scenes, views in zip(selection.scenes[block].unbind(1), selection.views[block].unbind(1), strict=True):
            total += phi[scenes, views]
        rows[block] = total / selection.views.shape[1] if aggregation == "mean" else total
    return rows
