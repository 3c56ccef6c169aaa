"""What else r may know at a count: of the object, and of the views that r was formed of.

A target is one function of scenes and chosen views, to classes (integers) or to values (floats). Adding one is adding
it to ``TARGETS``.
"""

from collections.abc import Callable
from typing import NamedTuple

from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from gqn_probe.analysis.inputs.view_selection import Selection
from gqn_probe.data.store.store_reader import SceneSource
from gqn_probe.types import Factors


class Classes(NamedTuple):
    """One of several kinds."""

    labels: Int[Tensor, " s"]  # 0..kinds-1
    kinds: int


class Values(NamedTuple):
    """Numbers, several a scene."""

    values: Float[Tensor, "s t"]


def _shape(scenes: SceneSource, views: Selection) -> Classes:
    """The shape up to rotation; mirror images differ."""
    return _classes(_factors(scenes).shape)


def _chirality(scenes: SceneSource, views: Selection) -> Classes:
    """Left, right, or its own mirror image."""
    return _classes(_factors(scenes).chirality)


def _parts(scenes: SceneSource, views: Selection) -> Classes:
    """The number of cubes."""
    return _classes(_factors(scenes).parts)


def _positions(scenes: SceneSource, views: Selection) -> Values:
    """Where the cubes are, one after another along the object; world units."""
    return Values(_complete(rearrange(_factors(scenes).positions, "s n x -> s (n x)")))


def _colors(scenes: SceneSource, views: Selection) -> Values:
    """The cubes' colours, one after another along the object; RGB in 0..1."""
    return Values(_complete(rearrange(_factors(scenes).colors, "s n c -> s (n c)")))


def _color(scenes: SceneSource, views: Selection) -> Values:
    """The mean of the cubes' colours; RGB in 0..1."""
    return Values(_factors(scenes).colors.nanmean(dim=1))


def _direction(scenes: SceneSource, views: Selection) -> Values:
    """The mean direction that the object was seen from, of unit vectors to the cameras."""
    return Values(_toward(scenes, views).mean(dim=1))


def _coverage(scenes: SceneSource, views: Selection) -> Values:
    """How far round the object the views go: 0 all from one side, 1 evenly from all (one less the mean's length)."""
    return Values(1 - _toward(scenes, views).mean(dim=1).norm(dim=1, keepdim=True))


TARGETS: dict[str, Callable[[SceneSource, Selection], Classes | Values]] = {
    "shape": _shape,
    "chirality": _chirality,
    "parts": _parts,
    "positions": _positions,
    "colors": _colors,
    "color": _color,
    "direction": _direction,
    "coverage": _coverage,
}


def _factors(scenes: SceneSource) -> Factors:
    if scenes.factors is None:
        raise ValueError("the objects are not known, as those of rendered stimuli are")
    return scenes.factors


def _classes(names: Int[Tensor, " s"]) -> Classes:
    kinds, labels = names.unique(return_inverse=True)
    if len(kinds) < 2:
        raise ValueError("all objects are alike in it")
    return Classes(labels, len(kinds))


def _complete(values: Float[Tensor, "s t"]) -> Float[Tensor, "s t"]:
    """The columns that every object has: those with fewer cubes end in NaN."""
    return values[:, ~values.isnan().any(dim=0)]


def _toward(scenes: SceneSource, views: Selection) -> Float[Tensor, "s i 3"]:
    return functional.normalize(scenes.cameras[views.scenes, views.views, :3], dim=-1)
