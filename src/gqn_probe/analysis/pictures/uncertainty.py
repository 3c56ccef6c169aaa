"""Predictive uncertainty of a GQN and its calibration: spread of prior samples, likelihood of the true image.

Eslami et al. 2018 report that uncertainty falls with every observation. (The KL is computed with the reconstruction.)
"""

import math

from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from gqn_probe.model import GQN
from gqn_probe.model.gaussian import floor_nats
from gqn_probe.training.metrics import silhouette_iou

GREY_LEVELS = 255  # bits a dimension are of images in grey levels, as usual
SIGMA = 0.7  # the paper's final pixel deviation, for weights that do not state theirs


def draw_samples(
    gqn: GQN,
    representation: Float[Tensor, "b d y x"],
    cameras: Float[Tensor, "b p"],
    *,
    size: tuple[int, int],
    samples: int,
) -> Float[Tensor, "b sample c h w"]:
    """Draw several samples of each query from the prior, in 0..1."""
    drawn = gqn.sample_from(representation, cameras, size=size, samples=samples)
    return rearrange(drawn.float().clamp(0, 1), "(b s) c h w -> b s c h w", s=samples)


def sample_scores(
    drawn: Float[Tensor, "b sample c h w"], truth: Float[Tensor, "b c h w"]
) -> dict[str, Float[Tensor, " b"]]:
    """Compute the metrics of several samples of each query, one value a scene, on the 0..1 scale of frames.

    Returns:
        ``spread_mse``: variance of samples, equal to ``averaged_mse``, the error of their mean, if uncertainty is
        calibrated; ``iou``: intersection over union of the silhouettes of one sample and the truth.
    """
    spread = reduce(drawn.var(dim=1), "b c h w -> b", "mean")
    error = reduce((drawn.mean(dim=1) - truth) ** 2, "b c h w -> b", "mean")
    return {
        "spread_mse": spread,
        "averaged_mse": error,
        "iou": silhouette_iou(drawn[:, 0], truth),
    }


def likelihood_scores(
    gqn: GQN,
    representation: Float[Tensor, "b d y x"],
    cameras: Float[Tensor, "n p"],
    truth: Float[Tensor, "n c h w"],
    *,
    samples: int,
) -> dict[str, Float[Tensor, " n"]]:
    """Estimate the likelihood of the truth by importance sampling, at the final pixel deviation of training.

    ``n`` queries, one or more consecutive ones a scene.

    Returns:
        ``nats_above_floor``: negative log-likelihood less that of a perfect mean; ``bits_per_dimension``: of grey
        levels.
    """
    sigma = gqn.input_spec.sigma or SIGMA
    dimensions = truth[0].numel()
    nats = -gqn.log_likelihood(representation, truth, cameras, sigma=sigma, samples=samples)
    return {
        "nats_above_floor": nats - floor_nats(sigma, dimensions),
        "bits_per_dimension": nats / (dimensions * math.log(2)) + math.log2(GREY_LEVELS),
    }
