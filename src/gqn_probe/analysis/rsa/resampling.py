"""Correlations and partial correlations of RDMs, with bootstrap intervals over stimuli and subjects.

A bootstrap sample of stimuli is a weight on every pair: the product of how often its two stimuli were drawn (a stimulus
is never paired with its own copy). All correlations of all samples are then weighted products of the same vectors. With
subjects, two further bootstraps tell apart the variance over stimuli and over subjects (Schütt et al. 2023,
"Statistical inference on representational geometries"). rsatoolbox has the same equations, a sample at a time.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student

from gqn_probe.analysis.rsa.rdm import count_conditions
from gqn_probe.results import Interval

BLOCK = 64  # bootstrap samples at a time
QUANTILE = 0.975


class Inference(NamedTuple):
    """Correlations of candidates with the RDMs of subjects, and the noise ceiling."""

    candidates: tuple[Interval, ...]  # mean over subjects of the correlation with each
    ceiling: tuple[float, float] | None  # what the best candidate would reach, least and most; None of one subject


def draw_bootstrap(n: int, draws: int, rng: np.random.Generator) -> Int[np.ndarray, "draw n"]:
    """Draw the multiplicity of each of ``n`` stimuli or subjects in each bootstrap sample."""
    return rng.multinomial(n, np.full(n, 1 / n), size=draws)


def pair_weights(times: Int[np.ndarray, "draw n"]) -> Float[np.ndarray, "draw pair"]:
    """Return the multiplicity of each pair of different stimuli in each bootstrap sample."""
    first, second = np.triu_indices(times.shape[1], 1)
    return (times[:, first] * times[:, second]).astype(np.float64)


def correlations(
    vectors: Float[np.ndarray, "vector pair"], weights: Float[np.ndarray, "draw pair"]
) -> Float[np.ndarray, "draw vector vector"]:
    """Return Pearson's correlations between all vectors under each weighting; NaN where one does not vary."""
    # A common shift changes nothing, and keeps the products small.
    vectors = np.asarray(vectors, dtype=np.float64)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    scale = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.where(scale > 0, scale, 1)
    stacked = np.concatenate([vectors, np.ones((1, vectors.shape[1]))])
    found = np.empty((len(weights), len(vectors), len(vectors)))
    for i, own in enumerate(weights):
        products = (stacked * own) @ stacked.T
        mean = products[:-1, -1] / products[-1, -1]
        covariance = products[:-1, :-1] / products[-1, -1] - np.outer(mean, mean)
        found[i] = _normalised(covariance)
    return found


def partial(
    correlation: Float[np.ndarray, "draw vector vector"], nuisances: Sequence[int]
) -> Float[np.ndarray, "draw vector vector"]:
    """Return correlations of the residuals of a regression on the nuisances; NaN where nothing is left."""
    if not nuisances:
        return correlation
    index = list(nuisances)
    known = np.nan_to_num(correlation)
    inner = np.linalg.pinv(known[:, index][:, :, index], rcond=1e-8, hermitian=True)
    rest = known - known[:, :, index] @ inner @ known[:, index]
    return np.stack([_normalised(each) for each in rest])


def _normalised(covariance: Float[np.ndarray, "vector vector"]) -> Float[np.ndarray, "vector vector"]:
    variance = np.diagonal(covariance)
    deviation = np.sqrt(np.where(variance > 1e-12, variance, np.nan))
    return covariance / np.outer(deviation, deviation)


def bootstrap_variance(samples: Float[np.ndarray, " draw"], units: int) -> float:
    """Return the variance of bootstrap samples, corrected by n / (n - 1) for few units."""
    return float(np.nanvar(samples)) * units / max(units - 1, 1)


def t_interval(value: float, variance: float, units: int) -> Interval:
    """Return the 95 % interval of a correlation by Student's t, with one degree of freedom fewer than units."""
    half = float(student.ppf(QUANTILE, max(units - 1, 1))) * variance**0.5
    return Interval(value, max(value - half, -1.0), min(value + half, 1.0))


def infer_correlations(
    candidates: Float[np.ndarray, "candidate pair"],
    subjects: Float[np.ndarray, "subject pair"],
    *,
    draws: int,
    rng: np.random.Generator,
) -> Inference:
    """Return each candidate's mean correlation with the subjects' RDMs, its interval over both, and the noise ceiling.

    One subject has no ceiling, and an interval over stimuli alone.
    """
    stimuli, c, o = count_conditions(candidates.shape[1]), len(candidates), len(subjects)
    stacked = np.concatenate([candidates, subjects])
    whole = correlations(stacked, np.ones((1, candidates.shape[1])))[0]
    own, between = whole[:c, c:], whole[c:, c:]
    drawn = np.array_split(draw_bootstrap(stimuli, draws, rng), max(1, draws // BLOCK))
    of_stimuli = np.concatenate([correlations(stacked, pair_weights(times))[:, :c, c:] for times in drawn])
    value = own.mean(axis=1)
    by_stimuli = np.nanvar(of_stimuli.mean(axis=2), axis=0, ddof=1)
    if o == 1:
        variances = by_stimuli * stimuli / (stimuli - 1)
        return Inference(tuple(t_interval(*each, stimuli) for each in zip(value, variances, strict=True)), None)
    times = draw_bootstrap(o, draws, rng) / o
    by_subjects = (times @ own.T).var(axis=0, ddof=1)
    by_both = np.nanvar(np.einsum("bco,bo->bc", of_stimuli, times), axis=0, ddof=1)
    variances = _dual(by_both, by_subjects, by_stimuli, o, stimuli)
    units = min(o, stimuli)
    found = tuple(t_interval(*each, units) for each in zip(value, variances, strict=True))
    return Inference(found, _ceiling(between))


def _dual(
    both: Float[np.ndarray, " candidate"],
    subjects: Float[np.ndarray, " candidate"],
    stimuli: Float[np.ndarray, " candidate"],
    o: int,
    n: int,
) -> Float[np.ndarray, " candidate"]:
    """Combine three bootstraps into the variance over new subjects and new stimuli (Schütt et al. 2023)."""
    subjects_own, stimuli_own = o / (o - 1) * subjects, n / (n - 1) * stimuli
    variance = subjects_own + stimuli_own - n * o / ((n - 1) * (o - 1)) * (both - subjects - stimuli)
    return np.minimum(np.maximum(np.maximum(variance, subjects_own), stimuli_own), both)


def _ceiling(between: Float[np.ndarray, "subject subject"]) -> tuple[float, float]:
    """Return each subject's mean correlation with the mean standardised RDM of the others, and of all.

    Nili et al. 2014, "A toolbox for representational similarity analysis": the least and the most that the best model
    of these subjects reaches.
    """
    total, own = between.sum(), between.sum(axis=1)
    others = (own - 1) / np.sqrt(total - 2 * own + 1)
    return float(others.mean()), float((own / np.sqrt(total)).mean())
