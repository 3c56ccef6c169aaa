"""The terms of the bound, against torch.distributions and against numbers."""

import math

import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as reference

from gqn_probe.model.gaussian import Gaussian, floor_nats, gaussian_nll, kl_divergence


def test_kl_against_torch() -> None:
    q, p = (Gaussian(torch.randn(4, 5), torch.rand(4, 5) + 0.1) for _ in range(2))
    torch.testing.assert_close(kl_divergence(q, p), reference(Normal(*q), Normal(*p)))


def test_kl_by_hand() -> None:
    def one(mean: float, std: float) -> Gaussian:
        return Gaussian(torch.tensor([mean]), torch.tensor([std]))

    assert kl_divergence(one(3, 2), one(3, 2)).item() == 0
    assert kl_divergence(one(1, 1), one(0, 1)).item() == pytest.approx(0.5)
    assert kl_divergence(one(0, 2), one(0, 1)).item() == pytest.approx(1.5 - math.log(2))


def test_likelihood_against_torch() -> None:
    mean, target = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    expected = -Normal(mean, 0.7).log_prob(target).sum(dim=(1, 2, 3))
    torch.testing.assert_close(gaussian_nll(mean, target, 0.7), expected)


def test_the_floor_that_users_take_for_a_plateau() -> None:
    assert floor_nats(0.7, 64 * 64 * 3) == pytest.approx(6909.1, abs=0.05)
    frames = torch.rand(1, 3, 64, 64)
    assert gaussian_nll(frames, frames, 0.7).item() == pytest.approx(6909.1, abs=0.05)
