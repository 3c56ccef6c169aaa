"""Decoding targets: properties of the object, and of the views that were summed.

A target is a function of scenes and selected views that returns classes or values; ``@target`` registers it and
``probe.targets`` selects it. All are invariant to the order of the cubes, which no image shows, so that each could in
principle be decoded without error.
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

ALIKE = 1e-5  # standard deviation below which values count as constant
CUBE = 0.25  # edge in world units, of our renderer
OFTEN = 0.01  # least share of objects that fill a cell
LEAST_PAIRS = 10  # chiral pairs: with fewer, a probe could memorise shapes


class Classes(NamedTuple):
    """A classification target."""

    labels: Int[Tensor, " s"]  # 0..kinds-1; -1 where undefined
    kinds: int
    groups: Int[Tensor, " s"] | None = None  # units of the split; None: objects

    @property
    def columns(self) -> Float[Tensor, "s k"]:
        """The columns that regression fits: one-hot classes."""
        return functional.one_hot(self.labels.clamp(min=0), self.kinds).float()


class Values(NamedTuple):
    """A regression target, several values a scene."""

    values: Float[Tensor, "s j"]
    derive: Callable[[Float[Tensor, "s j"]], Float[Tensor, "s scored"]] | None = None  # maps values to what is scored

    @property
    def columns(self) -> Float[Tensor, "s j"]:
        """The columns that regression fits."""
        return self.values

    @property
    def groups(self) -> None:
        """Units of the split: objects."""
        return None

    @property
    def varies(self) -> bool:
        """True if what is scored differs between objects."""
        scored = self.values if self.derive is None else self.derive(self.values)
        return float(scored.std(dim=0).max()) > ALIKE


Target = Callable[[SceneSource, Selection], Classes | Values]
TARGETS: dict[str, Target] = {}


def target(function: Target) -> Target:
    """Register a target under its function's name.

    Raises:
        ValueError: the name is taken.
    """
    name = function.__name__
    if name in ("count", "reconstruction", *TARGETS):
        raise ValueError(f"there is a target {name} already: rename the new one")
    TARGETS[name] = function
    return function


@target
def shape(scenes: SceneSource, views: Selection) -> Classes:
    """Return the shape up to rotation; mirror images differ."""
    return _classes(_factors(scenes).shape)


@target
def chirality(scenes: SceneSource, views: Selection) -> Classes:
    """Return the handedness of chiral shapes from their geometry; a shape is held out with its mirror image.

    Raises:
        ValueError: there are fewer than ten chiral pairs.
    """
    factors = _factors(scenes)
    hand = handedness(factors.positions)
    chiral = (factors.chirality != 0) & (hand != 0)
    pairs = len(factors.mirror_class[chiral].unique())
    if pairs < LEAST_PAIRS:
        raise ValueError(f"{pairs} pairs of mirrored shapes, of at least {LEAST_PAIRS}: use objects of 7 cubes or more")
    labels = torch.where(chiral, (hand > 0).long(), torch.full_like(hand, -1).long())
    return Classes(labels, 2, factors.mirror_class.unique(return_inverse=True)[1])


@target
def parts(scenes: SceneSource, views: Selection) -> Classes:
    """Return the number of cubes."""
    return _classes(_factors(scenes).parts)


@target
def color(scenes: SceneSource, views: Selection) -> Values:
    """Return the mean colour of the cubes, RGB in 0..1."""
    return _varied(_factors(scenes).colors.nanmean(dim=1))


@target
def second_moments(scenes: SceneSource, views: Selection) -> Values:
    """Return second moments of the cubes' positions: means of xx, yy, zz, xy, xz, yz; world units squared."""
    positions = _factors(scenes).positions
    products = positions[..., [0, 1, 2, 0, 0, 1]] * positions[..., [0, 1, 2, 1, 2, 2]]
    return _varied(products.nanmean(dim=1))


@target
def color_where(scenes: SceneSource, views: Selection) -> Values:
    """Return joint moments of colour and position: sum over cubes of (colour - mean colour) x position, 9 numbers."""
    factors = _factors(scenes)
    deviations = factors.colors - factors.colors.nanmean(dim=1, keepdim=True)
    products = einsum(deviations.nan_to_num(), factors.positions.nan_to_num(), "s n c, s n x -> s c x")
    return _varied(rearrange(products, "s c x -> s (c x)"))


@target
def occupancy(scenes: SceneSource, views: Selection) -> Values:
    """Return the occupancy (0 or 1) of each cell, one cube wide, that at least 1 % of objects fill."""
    index, side = cell_indices(_factors(scenes).positions)
    grid = torch.zeros(len(index), side**3 + 1).scatter_(1, index, 1.0)  # the last column collects missing cubes
    often = grid[:, :-1].mean(dim=0) >= max(OFTEN, 3 / len(grid))
    return _varied(grid[:, :-1][:, often])


def grid_cells(positions: Float[Tensor, "*n 3"]) -> Int[Tensor, "*n 3"]:
    """Return each cube's cell, counted from the centre; objects of an even extent are offset by half a cell."""
    return (positions / CUBE + 0.5 + 1e-3).floor().long()  # rounding half to even would put two cubes into one cell


def cell_indices(positions: Float[Tensor, "s n 3"]) -> tuple[Int[Tensor, "s n"], int]:
    """Return each cube's cell in a flattened cubic grid, and its side in cells; missing cubes are in ``side**3``."""
    cells = grid_cells(positions.nan_to_num())
    reach = int(cells.abs().max())
    side = 2 * reach + 1
    x, y, z = (cells + reach).unbind(dim=-1)
    return torch.where(positions.isnan().any(dim=-1), side**3, (x * side + y) * side + z), side


@target
def direction(scenes: SceneSource, views: Selection) -> Values:
    """Return the mean of the unit vectors to the cameras."""
    return Values(_toward(scenes, views))


@target
def coverage(scenes: SceneSource, views: Selection) -> Values:
    """Return 1 - |mean unit vector to the cameras|: 0 if all views are from one side, 1 if spread evenly.

    Derived from the decoded direction, of which it is a nonlinear function.
    """
    return Values(_toward(scenes, views), derive=_uncovered)


def handedness(positions: Float[Tensor, "s n 3"]) -> Float[Tensor, " s"]:
    """Return the sign of an object's chirality, invariant to rotation and to the order of cubes; 0 if achiral.

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
    total = (volume * turns / lengths).nan_to_num().sum(dim=1)  # quadruples with a missing cube are NaN
    return torch.where(total.abs() > ALIKE, total.sign(), torch.zeros_like(total)).float()


def _uncovered(toward: Float[Tensor, "s 3"]) -> Float[Tensor, "s 1"]:
    return 1 - toward.norm(dim=1, keepdim=True)


def _factors(scenes: SceneSource) -> Factors:
    if scenes.factors is None:
        raise ValueError("the objects behind the images are unknown; rendered stimuli have them")
    return scenes.factors


def _classes(names: Int[Tensor, " s"]) -> Classes:
    kinds, labels = names.unique(return_inverse=True)
    if len(kinds) < 2:
        raise ValueError("all objects are alike in it")
    return Classes(labels, len(kinds))


def _varied(values: Float[Tensor, "s j"]) -> Values:
    """Return the columns with variance.

    Raises:
        ValueError: all are constant.
    """
    varies = values.std(dim=0) > ALIKE
    if not varies.any():
        raise ValueError("all objects are alike in it")
    return Values(values if varies.all() else values[:, varies])


def _toward(scenes: SceneSource, views: Selection) -> Float[Tensor, "s 3"]:
    return functional.normalize(scenes.cameras[views.scenes, views.views, :3], dim=-1).mean(dim=1)
