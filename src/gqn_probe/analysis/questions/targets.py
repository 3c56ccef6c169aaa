"""Targets beside the count: properties of the object, and of the views that r was formed of.

A target is a function of scenes and chosen views, to classes or to values; ``@target`` registers it under its name, and
``probe.targets`` chooses. None depends on where a walk along the object begins, which no image shows: so each could
be read without an error.
"""

from collections.abc import Callable
from itertools import permutations
from typing import NamedTuple

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from gqn_probe.analysis.inputs.view_selection import Selection
from gqn_probe.data.store.store_reader import SceneSource
from gqn_probe.types import Factors

ALIKE = 1e-5  # deviation below which values differ by rounding alone
CUBE = 0.25  # edge in world units, of our renderer
OFTEN = 0.01  # share of objects that a place must be filled in to be asked for
LEAST_PAIRS = 10  # chiral pairs, below which telling left from right is telling a few shapes apart


class Classes(NamedTuple):
    """One of several kinds."""

    labels: Int[Tensor, " s"]  # 0..kinds-1; -1 where the question has no answer
    kinds: int
    groups: Int[Tensor, " s"] | None = None  # what is held out as a whole; None: each object by itself


class Values(NamedTuple):
    """Numbers, several a scene."""

    values: Float[Tensor, "s j"]
    derive: Callable[[Float[Tensor, "s j"]], Float[Tensor, "s scored"]] | None = None  # what is scored, where another


Target = Callable[[SceneSource, Selection], Classes | Values]
TARGETS: dict[str, Target] = {}


def target(function: Target) -> Target:
    """Register a target under its function's name.

    Raises:
        ValueError: there is one of that name.
    """
    name = function.__name__
    if name in ("count", "reconstruction", *TARGETS):
        raise ValueError(f"there is a target {name} already: name the new one otherwise")
    TARGETS[name] = function
    return function


@target
def shape(scenes: SceneSource, views: Selection) -> Classes:
    """The shape up to rotation; mirror images differ."""
    return _classes(_factors(scenes).shape)


@target
def chirality(scenes: SceneSource, views: Selection) -> Classes:
    """Left- or right-handed, by its geometry; asked of chiral shapes, whose pairs are held out whole.

    Raises:
        ValueError: there are fewer than ten chiral pairs.
    """
    factors = _factors(scenes)
    hand = handedness(factors.positions)
    chiral = (factors.chirality != 0) & (hand != 0)
    pairs = len(factors.mirror_class[chiral].unique())
    if pairs < LEAST_PAIRS:
        raise ValueError(f"of {pairs} chiral pairs nothing general could be said: {LEAST_PAIRS} are needed (7 cubes)")
    labels = torch.where(chiral, (hand > 0).long(), torch.full_like(hand, -1).long())
    return Classes(labels, 2, factors.mirror_class.unique(return_inverse=True)[1])


@target
def parts(scenes: SceneSource, views: Selection) -> Classes:
    """The number of cubes."""
    return _classes(_factors(scenes).parts)


@target
def color(scenes: SceneSource, views: Selection) -> Values:
    """The mean of the cubes' colours; RGB in 0..1."""
    return _varied(_factors(scenes).colors.nanmean(dim=1))


@target
def second_moments(scenes: SceneSource, views: Selection) -> Values:
    """Second moments of the cubes' positions: means of xx, yy, zz, xy, xz, yz; world units squared."""
    positions = _factors(scenes).positions
    products = positions[..., [0, 1, 2, 0, 0, 1]] * positions[..., [0, 1, 2, 1, 2, 2]]
    return _varied(products.nanmean(dim=1))


@target
def color_where(scenes: SceneSource, views: Selection) -> Values:
    """Moments of colour and position: the sum over cubes of (colour - mean colour) x position, 9 numbers."""
    factors = _factors(scenes)
    deviations = factors.colors - factors.colors.nanmean(dim=1, keepdim=True)
    products = einsum(deviations.nan_to_num(), factors.positions.nan_to_num(), "s n c, s n x -> s c x")
    return _varied(rearrange(products, "s c x -> s (c x)"))


@target
def occupancy(scenes: SceneSource, views: Selection) -> Values:
    """Filled cells: 0 or 1 for each cell of a grid of cubes about the middle that 1 % of objects fill."""
    positions = _factors(scenes).positions
    filled = ~positions.isnan().any(dim=-1)
    cells = grid_cells(positions.nan_to_num())
    reach = int(cells.abs().max())
    side = 2 * reach + 1
    index = ((cells[..., 0] + reach) * side + cells[..., 1] + reach) * side + cells[..., 2] + reach
    grid = torch.zeros(len(positions), side**3 + 1)
    grid.scatter_(1, torch.where(filled, index, side**3), 1.0)  # the last column takes what is no cube
    often = grid[:, :-1].mean(dim=0) >= max(OFTEN, 3 / len(grid))
    return _varied(grid[:, :-1][:, often])


def grid_cells(positions: Float[Tensor, "*n 3"]) -> Int[Tensor, "*n 3"]:
    """The cell of each cube, counted from the middle; objects of an even number of cubes lie half a cell beside it."""
    return (positions / CUBE + 0.5 + 1e-3).floor().long()  # to round half to even would put two cubes into one


@target
def direction(scenes: SceneSource, views: Selection) -> Values:
    """The mean direction that the object was seen from, of unit vectors to the cameras."""
    return Values(_toward(scenes, views))


@target
def coverage(scenes: SceneSource, views: Selection) -> Values:
    """Spread of the views' directions: 0 all from one side, 1 evenly from all.

    One less the length of the mean direction, and derived from the direction that is read: it is no linear function
    of what a sum of views tells.
    """
    return Values(_toward(scenes, views), derive=_uncovered)


def handedness(positions: Float[Tensor, "s n 3"]) -> Float[Tensor, " s"]:
    """The sign of the chirality of a set of cubes, however turned and in whatever order; 0 where there is none.

    Osipov, Pickup & Dunmur 1995, "A new twist to molecular chirality", equation 5, with exponents n = 2 and m = 1: a
    pseudo-scalar summed over all ordered quadruples of different cubes.
    """
    cubes = positions.double() / CUBE
    between = rearrange(cubes, "s i x -> s i 1 x") - rearrange(cubes, "s j x -> s 1 j x")
    i, j, k, m = torch.tensor(list(permutations(range(cubes.shape[1]), 4))).unbind(dim=1)
    first, middle, last, across = (between[:, a, b] for a, b in ((i, j), (j, k), (k, m), (i, m)))
    volume = (torch.linalg.cross(first, last) * across).sum(dim=-1)
    turns = (first * middle).sum(dim=-1) * (middle * last).sum(dim=-1)
    lengths = first.square().sum(-1) * middle.square().sum(-1) * last.square().sum(-1) * across.norm(dim=-1)
    total = (volume * turns / lengths).nan_to_num().sum(dim=1)  # quadruples with a cube that is not there are NaN
    return torch.where(total.abs() > ALIKE, total.sign(), torch.zeros_like(total)).float()


def _uncovered(toward: Float[Tensor, "s 3"]) -> Float[Tensor, "s 1"]:
    return 1 - toward.norm(dim=1, keepdim=True)


def _factors(scenes: SceneSource) -> Factors:
    if scenes.factors is None:
        raise ValueError("the objects are not known, as those of rendered stimuli are")
    return scenes.factors


def _classes(names: Int[Tensor, " s"]) -> Classes:
    kinds, labels = names.unique(return_inverse=True)
    if len(kinds) < 2:
        raise ValueError("all objects are alike in it")
    return Classes(labels, len(kinds))


def _varied(values: Float[Tensor, "s j"]) -> Values:
    """The columns that vary.

    Raises:
        ValueError: none does.
    """
    varies = values.std(dim=0) > ALIKE
    if not varies.any():
        raise ValueError("all objects are alike in it")
    return Values(values if varies.all() else values[:, varies])


def _toward(scenes: SceneSource, views: Selection) -> Float[Tensor, "s 3"]:
    return functional.normalize(scenes.cameras[views.scenes, views.views, :3], dim=-1).mean(dim=1)
