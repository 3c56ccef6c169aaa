"""Similarity of RDMs: planted answers, intervals that hold, and rsatoolbox as the reference."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from gqn_probe.analysis.rsa.resampling import (
    bootstrap_variance,
    correlations,
    draw_bootstrap,
    infer_correlations,
    pair_weights,
    partial,
    t_interval,
)

N, SUBJECTS = 24, 8


def test_unweighted_correlations_are_pearsons():
    vectors = np.random.default_rng(0).normal(size=(4, 60)) * 1e-3 + 7
    found = correlations(vectors, np.ones((1, 60)))[0]
    np.testing.assert_allclose(found, np.corrcoef(vectors), atol=1e-9)


def test_a_bootstrap_sample_is_the_correlation_over_its_own_pairs():
    rng = np.random.default_rng(1)
    vectors, times = np.stack([pdist(rng.normal(size=(N, 3))) for _ in range(2)]), draw_bootstrap(N, 1, rng)
    drawn = np.repeat(np.arange(N), times[0])
    square = np.zeros((2, N, N))
    square[:, *np.triu_indices(N, 1)] = vectors
    square += square.swapaxes(1, 2)
    first, second = np.triu_indices(N, 1)
    kept = drawn[first] != drawn[second]
    wanted = np.corrcoef(square[:, drawn[first][kept], drawn[second][kept]])
    np.testing.assert_allclose(correlations(vectors, pair_weights(times))[0], wanted, atol=1e-9)


def test_partialling_out_the_cause_of_both_leaves_nothing():
    rng = np.random.default_rng(2)
    cause = rng.normal(size=3000)
    vectors = np.stack([cause + rng.normal(size=3000), cause + rng.normal(size=3000), cause])
    raw = correlations(vectors, np.ones((1, 3000)))
    assert raw[0, 0, 1] == pytest.approx(0.5, abs=0.05)
    assert partial(raw, [2])[0, 0, 1] == pytest.approx(0, abs=0.05)


def test_what_a_nuisance_explains_wholly_has_no_partial_correlation():
    vectors = np.random.default_rng(3).normal(size=(2, 50))
    table = partial(correlations(np.concatenate([vectors, 2 * vectors[:1]]), np.ones((1, 50))), [2])
    assert np.isnan(table[0, 0, 1])


def test_the_interval_over_stimuli_covers_the_truth():
    """Two unrelated geometries: 0 lies in the interval about 95 times of 100."""
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(60):
        vectors = np.stack([pdist(rng.normal(size=(N, 4))) for _ in range(2)])
        samples = correlations(vectors, pair_weights(draw_bootstrap(N, 100, rng)))[:, 0, 1]
        found = t_interval(float(np.corrcoef(*vectors)[0, 1]), bootstrap_variance(samples, N), N)
        covered += found.low < 0 < found.high
    assert covered >= 52


def _simulated(noise: float, subjects: int = SUBJECTS) -> tuple[np.ndarray, np.ndarray]:
    """Three candidates, and subjects whose RDMs are the first's with noise."""
    rng = np.random.default_rng(5)
    candidates = np.stack([pdist(rng.normal(size=(N, 4))) for _ in range(3)])
    scale = candidates[0].std() * noise
    return candidates, candidates[0] + scale * rng.normal(size=(subjects, candidates.shape[1]))


def test_simulated_subjects_are_predicted_by_the_candidate_that_made_them():
    candidates, subjects = _simulated(noise=1.0)
    found = infer_correlations(candidates, subjects, draws=200, rng=np.random.default_rng(0))
    assert found.ceiling is not None
    assert found.ceiling[0] < found.ceiling[1]
    assert found.ceiling[0] - 0.02 < found.candidates[0].value < found.ceiling[1] + 0.02
    assert found.candidates[0].value == pytest.approx(2**-0.5, abs=0.05)
    for other in found.candidates[1:]:
        assert other.low < 0 < other.high
        assert other.high < found.candidates[0].low


def test_one_subject_has_an_interval_and_no_ceiling():
    candidates, subjects = _simulated(noise=1.0, subjects=1)
    found = infer_correlations(candidates, subjects, draws=200, rng=np.random.default_rng(0))
    assert found.ceiling is None
    assert 0 < found.candidates[0].low < found.candidates[0].value < found.candidates[0].high < 1


def test_candidates_and_ceiling_are_those_of_rsatoolbox():
    pytest.importorskip("rsatoolbox")
    from rsatoolbox.inference import eval_fixed
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    candidates, subjects = _simulated(noise=1.5)
    models = [ModelFixed(str(i), RDMs(vector[None])) for i, vector in enumerate(candidates)]
    wanted = eval_fixed(models, RDMs(subjects), method="corr")
    found = infer_correlations(candidates, subjects, draws=20, rng=np.random.default_rng(0))
    np.testing.assert_allclose([each.value for each in found.candidates], wanted.get_means(), atol=1e-6)
    assert found.ceiling is not None
    np.testing.assert_allclose(found.ceiling, wanted.get_noise_ceil(), atol=1e-6)


@pytest.mark.slow
def test_dual_bootstrap_is_as_wide_as_that_of_rsatoolbox():
    pytest.importorskip("rsatoolbox")
    from rsatoolbox.inference import eval_dual_bootstrap
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    candidates, subjects = _simulated(noise=1.5)
    models = [ModelFixed(str(i), RDMs(vector[None])) for i, vector in enumerate(candidates)]
    state = np.random.get_state()  # noqa: NPY002  (the library draws from it)
    np.random.seed(0)  # noqa: NPY002
    wanted = eval_dual_bootstrap(models, RDMs(subjects), method="corr", N=300)
    np.random.set_state(state)  # noqa: NPY002
    low, high = wanted.get_ci(0.95)
    found = infer_correlations(candidates, subjects, draws=1000, rng=np.random.default_rng(0))
    np.testing.assert_allclose([each.high - each.low for each in found.candidates], high - low, rtol=0.2)
