"""Model RDMs: distances between scenes in one known respect, such as shape or camera position.

``@model_rdm`` registers one under its function's name. Every probe target is one, too: classes are 0 or 1 apart, values
by their Euclidean distance.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float
from scipy.spatial.distance import pdist
from torch import Tensor

from gqn_probe.analysis.inputs.view_selection import Selection
from gqn_probe.analysis.questions.targets import TARGETS, Classes, Target
from gqn_probe.choices import nearest
from gqn_probe.data.stimuli.cameras import camera_basis
from gqn_probe.data.store.store_reader import SceneSource

Vector = Float[np.ndarray, " pair"]  # NaN for pairs that the model is not defined for


class ModelRdm(NamedTuple):
    """Label and function of a registered model RDM."""

    label: str
    build: Callable[[SceneSource, Selection], Vector]


MODEL_RDMS: dict[str, ModelRdm] = {}


def model_rdm(label: str) -> Callable[[Callable[[SceneSource, Selection], Vector]], Callable[..., Vector]]:
    """Register the decorated function as the model RDM of its name."""

    def register(build: Callable[[SceneSource, Selection], Vector]) -> Callable[..., Vector]:
        MODEL_RDMS[build.__name__] = ModelRdm(label, build)
        return build

    return register


@model_rdm("viewing angle")
def angle(scenes: SceneSource, views: Selection) -> Vector:
    """Return the angle on SO(3) between the cameras' orientations, in degrees; of several views, between their means.

    The mean is the rotation nearest in the chordal sense: Hartley et al. 2013, "Rotation averaging".
    """
    basis = camera_basis(scenes.cameras[views.scenes, views.views].double())
    axes = torch.stack([basis.right, basis.up, -basis.forward], dim=-2).mean(dim=1)  # right-handed
    return pairwise_angles(nearest_rotations(axes)).numpy()


@model_rdm("camera position")
def camera(scenes: SceneSource, views: Selection) -> Vector:
    """Return the distance between the mean positions of the cameras, in world units."""
    return pdist(scenes.cameras[views.scenes, views.views, :3].double().mean(dim=1).numpy())


@model_rdm("mirror image")
def mirror(scenes: SceneSource, views: Selection) -> Vector:
    """Return 0 for the same chiral shape and 1 for its mirror image; NaN for all other pairs."""
    factors = scenes.factors
    if factors is None:
        raise ValueError("the objects are not known, as those of rendered stimuli are")
    first, second = np.triu_indices(len(factors.shape), 1)
    kind, hand = factors.mirror_class.numpy(), factors.chirality.numpy()
    defined = (kind[first] == kind[second]) & (hand[first] != 0)
    found = np.where(defined, (hand[first] != hand[second]).astype(float), np.nan)
    if np.unique(found[defined]).size < 2:
        raise ValueError("no object has its mirror image among the others: use more cubes or objects")
    return found


def build_model_rdm(
    name: str, scenes: SceneSource, views: Selection, targets: Mapping[str, Target] = TARGETS
) -> Vector:
    """Return the model RDM or target called ``name``.

    Raises:
        ValueError: there is none, or these scenes cannot have it.
    """
    if name in MODEL_RDMS:
        found = MODEL_RDMS[name].build(scenes, views)
    elif name in targets:
        target = targets[name](scenes, views)
        if isinstance(target, Classes):
            first, second = np.triu_indices(len(scenes), 1)
            labels = target.labels.numpy()
            defined = (labels[first] >= 0) & (labels[second] >= 0)
            found = np.where(defined, (labels[first] != labels[second]).astype(float), np.nan)
        else:
            found = pdist(target.values.double().numpy())
    else:
        known = [*MODEL_RDMS, *targets]
        raise ValueError(f"no model RDM {name!r}; {nearest(name, known)}there are {', '.join(known)}")
    known = found[np.isfinite(found)]
    if known.size < 3 or np.ptp(known) <= 1e-9:
        raise ValueError("all objects are alike in it")
    return found


def nearest_rotations(matrices: Float[Tensor, "s 3 3"]) -> Float[Tensor, "s 3 3"]:
    """Return the rotation nearest to each 3x3 matrix in the Frobenius norm."""
    left, _, right = torch.linalg.svd(matrices)
    sign = torch.linalg.det(left @ right)
    left = torch.cat([left[..., :2], left[..., 2:] * sign[:, None, None]], dim=-1)
    return left @ right


def pairwise_angles(rotations: Float[Tensor, "s 3 3"]) -> Float[Tensor, " pair"]:
    """Return the geodesic distance on SO(3) between all pairs, in degrees (0 to 180)."""
    trace = einsum(rotations, rotations, "a i j, b i j -> a b")
    first, second = torch.triu_indices(len(rotations), len(rotations), 1)
    cosine = (trace[first, second] - 1) / 2
    return cosine.clamp(-1, 1).arccos().rad2deg()
