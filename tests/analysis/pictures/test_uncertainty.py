"""Uncertainty, of networks whose distribution is known."""

# pyright: reportIncompatibleMethodOverride=false
# networks here stand in for a GQN in what is asked of them

import math

import pytest
import torch

from gqn_probe.analysis.pictures.uncertainty import draw_samples, likelihood_scores, sample_scores
from gqn_probe.model import GQN, InputSpec

TRUTH = torch.full((40, 3, 16, 16), 0.5)


class Dice(GQN):
    """The truth plus noise of a known deviation; its likelihood is that of a perfect mean less ``behind`` nats."""

    def __init__(self, deviation: float, behind: float) -> None:
        torch.nn.Module.__init__(self)
        self.deviation, self.behind = deviation, behind

    def __new__(cls, *arguments, **named):
        return torch.nn.Module.__new__(cls)

    def sample_from(self, representation, cameras, *, size, samples):
        offset = self.deviation * torch.randn(len(cameras) * samples, 1, 1, 1)
        return (0.5 + offset).expand(-1, 3, *size)

    def log_likelihood(self, representation, frames, cameras, *, sigma, samples):
        return torch.full((len(frames),), -0.5 * math.log(2 * math.pi * sigma**2) * frames[0].numel() - self.behind)


def test_spread_is_the_error_of_a_calibrated_network():
    torch.manual_seed(0)
    samples = 16
    truth = TRUTH + 0.02 * torch.randn(40, 1, 1, 1)
    nothing = torch.zeros(40, 1, 1, 1), torch.zeros(40, 7)
    scores = sample_scores(draw_samples(Dice(0.02, 0), *nothing, size=(16, 16), samples=samples), truth)
    spread, error = scores["spread_mse"].mean(), scores["averaged_mse"].mean()
    assert spread.item() == pytest.approx(0.02**2, rel=0.1)
    assert error.item() == pytest.approx(0.02**2 * (1 + 1 / samples), rel=0.5)
    assert (scores["iou"] == 1).all()


def test_likelihood_is_measured_at_the_deviation_of_the_weights():
    gqn = Dice(0.1, behind=30.0)
    gqn.input_spec = InputSpec(sigma=0.2)
    scores = likelihood_scores(gqn, torch.zeros(40, 1, 1, 1), torch.zeros(40, 7), TRUTH, samples=4)
    assert scores["nats_above_floor"][0].item() == pytest.approx(30.0, rel=1e-4)
    perfect = math.log2(255 * 0.2 * math.sqrt(2 * math.pi))  # bits of a grey level known to a deviation of 51
    assert scores["bits_per_dimension"][0].item() == pytest.approx(perfect + 30 / (768 * math.log(2)), rel=1e-4)
