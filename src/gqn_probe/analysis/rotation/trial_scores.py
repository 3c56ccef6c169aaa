"""Scores of mental rotation over trials: accuracy, d', and the rise of dissimilarity with the angle.

Intervals are over mirror classes: an object and its mirror image are one.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import norm
from torch import Tensor

from gqn_probe.analysis.rotation.trials import Case, Scores, Trials
from gqn_probe.analysis.statistics.intervals import (
    ClusterSums,
    cluster_sums,
    mean_interval,
    proportion_difference,
    proportion_interval,
)
from gqn_probe.results import Interval, Result

DISSIMILARITY = {"error": "rmse", "likelihood": "nats_above_floor"}  # metric of a probe that is not called as it
FAR = 60  # degrees from which a read-out must tell more than pixels do: nearer views are nearly the same picture


def score_rows(
    trials: Trials, angles: Sequence[float], units: Int[Tensor, " s"], nearest: dict[int, Float[Tensor, "s angle"]]
) -> Iterator[Result]:
    """Yield the rows of ``results.csv``; ``target`` is the axis.

    Args:
        angles: of the columns of the trials, in degrees.
        units: mirror class of each object, numbered from 0.
        nearest: degrees to the nearest context camera, by count.
    """
    for case, scores in trials.items():
        name, rows = (case.axis, case.input, case.control, case.probe), scores.right.numel()
        unlike = DISSIMILARITY.get(case.probe, case.probe)
        for column, angle in enumerate(angles):
            own = [each[:, column] for each in (scores.right, scores.same, scores.mirror, nearest[case.count])]
            right, same, mirror, near = (cluster_sums(each, units, int(units.max()) + 1) for each in own)
            found = {"accuracy": proportion_interval(right), unlike: mean_interval(same)}
            found |= {f"mirror_{unlike}": mean_interval(mirror), "nearest": mean_interval(near)}
            found |= {"d_prime": d_prime(found["accuracy"], len(units))}
            for metric, interval in found.items():
                row = Result.pooled(name, metric, interval, n=len(units), count=case.count)
                yield row._replace(angle=float(angle))
        far = far_sums(scores, angles, units)
        if far is not None:
            accuracy = proportion_interval(far)
            rows = int(far.rows.sum())
            yield Result.pooled(name, "far_accuracy", accuracy, n=rows, count=case.count)
            yield Result.pooled(name, "far_d_prime", d_prime(accuracy, rows), n=rows, count=case.count)
            pixels = trials.get(case._replace(input="prediction", control="pixels", probe="error"))
            if pixels is not None and case.control != "pixels":
                base = far_sums(pixels, angles, units)
                assert base is not None
                gain = proportion_difference(far, base)
                yield Result.pooled(name, "far_accuracy_above_pixels", gain, n=rows, count=case.count)
        for metric, interval in angle_effects(case, trials, angles, units).items():
            yield Result.pooled(name, metric, interval, n=scores.same.numel(), count=case.count)


def far_sums(scores: Scores, angles: Sequence[float], units: Int[Tensor, " s"]) -> ClusterSums | None:
    """Sum right trials from ``FAR`` degrees on by mirror class; None where there is no such angle."""
    far = torch.tensor([angle >= FAR for angle in angles])
    right = scores.right[:, far]
    if not right.numel():
        return None
    return cluster_sums(right.flatten(), units.repeat_interleave(right.shape[1]), int(units.max()) + 1)


def d_prime(accuracy: Interval, trials: int) -> Interval:
    """Return the sensitivity d' = sqrt(2) z(p) of a share p of right choices between two.

    Macmillan & Creelman 2005, "Detection theory", equation 7.2; shares of 0 and 1 are half a trial from it.
    """
    least = 0.5 / trials
    return Interval(*(float(math.sqrt(2) * norm.ppf(min(max(share, least), 1 - least))) for share in accuracy))


def angle_effects(case: Case, trials: Trials, angles: Sequence[float], units: Int[Tensor, " s"]) -> dict[str, Interval]:
    """Regress the dissimilarity of the object's own view on the angle, within objects.

    ``slope`` is a degree's, ``correlation`` that of unlikeness with angle; ``partial_slope`` and
    ``partial_correlation`` are what is left after the RMSE of pixels and the same read-out of blank images were
    partialled out (Frisch & Waugh 1933), as far as these were measured.
    """
    own = _within(trials[case].same)
    degrees = _within(torch.tensor(angles, dtype=torch.float64).expand_as(own))
    others = [case._replace(input="prediction", control="pixels", probe="error"), case._replace(control="blank")]
    known = [_within(trials[each].same) for each in others if each in trials and each != case]
    found = _regression(degrees, own, units, "")
    if known and case.control not in ("pixels", "blank"):
        basis = torch.stack([each.flatten() for each in known], dim=1)
        found |= _regression(_residual(degrees, basis), _residual(own, basis), units, "partial_")
    return found


def _regression(
    x: Float[Tensor, "s angle"], y: Float[Tensor, "s angle"], units: Int[Tensor, " s"], prefix: str
) -> dict[str, Interval]:
    """Return the slope of y on x, a ratio of sums over mirror classes, and the correlation that it amounts to."""
    spread = float(x.norm() * y.norm())
    if x.norm() < 1e-3 * x.numel() ** 0.5 or spread == 0:
        return {}  # the angle is a function of what was partialled out, or nothing varies with it
    sums = ClusterSums((x * y).sum(dim=1), (x * x).sum(dim=1)).merged(units)
    one = mean_interval(sums)
    scale = float(x.norm() / y.norm())
    return {
        f"{prefix}slope": one,
        f"{prefix}correlation": Interval(*np.clip(scale * np.array(one), -1, 1).tolist()),
    }


def _within(values: Float[Tensor, "s angle"]) -> Float[Tensor, "s angle"]:
    """Subtract each object's mean."""
    return values.double() - values.double().mean(dim=1, keepdim=True)


def _residual(values: Float[Tensor, "s angle"], basis: Float[Tensor, "n basis"]) -> Float[Tensor, "s angle"]:
    """Return the residuals of a regression on the columns of ``basis``."""
    flat = values.flatten()[:, None]
    scaled = basis / basis.norm(dim=0).clamp(min=1e-12)
    left = flat - scaled @ (torch.linalg.pinv(scaled) @ flat)
    return left[:, 0].unflatten(0, values.shape)
