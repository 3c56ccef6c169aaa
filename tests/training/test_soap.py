"""SOAP does not care in which axes inputs and outputs are written, and descends where Adam crawls."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

from gqn_probe.training.soap import SOAP

Make = Callable[[list[Tensor]], Optimizer]


def minimise(make: Make, start: Tensor, loss: Callable[[Tensor], Tensor], steps: int) -> Tensor:
    """The parameter after so many steps."""
    parameter = start.clone().requires_grad_()
    optimizer = make([parameter])
    for _ in range(steps):
        optimizer.zero_grad()
        loss(parameter).backward()
        optimizer.step()
    return parameter.detach()


def ill_conditioned(seed: int, n: int, m: int) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """A quadratic of a matrix whose curvature along turned axes differs ten thousandfold, and a start."""
    numbers = torch.Generator().manual_seed(seed)
    turns = [torch.linalg.qr(torch.randn(k, k, generator=numbers, dtype=torch.float64))[0] for k in (n, m)]
    left, right = (turn * torch.logspace(0, -1, len(turn), dtype=torch.float64) for turn in turns)

    def loss(matrix: Tensor) -> Tensor:
        return 0.5 * (left.T @ matrix @ right).square().sum()

    return loss, torch.randn(n, m, generator=numbers, dtype=torch.float64)


def test_a_turned_quadratic_falls_faster_than_by_adam():
    loss, start = ill_conditioned(0, 12, 16)
    settings = {"lr": 0.05, "betas": (0.9, 0.98)}
    by_soap, by_adam = (
        loss(minimise(lambda p, kind=kind: kind(p, **settings, weight_decay=0.0), start, loss, 200))
        for kind in (SOAP, AdamW)
    )
    assert 50 * by_soap < by_adam < 0.01 * loss(start)


def test_axes_of_inputs_and_outputs_do_not_matter():
    loss, start = ill_conditioned(1, 9, 10)
    numbers = torch.Generator().manual_seed(2)
    q, p = (torch.linalg.qr(torch.randn(k, k, generator=numbers, dtype=torch.float64))[0] for k in start.shape)

    def both(make: Make) -> tuple[Tensor, Tensor]:
        plain = minimise(make, start, loss, 30)
        turned = minimise(make, q @ start @ p.T, lambda matrix: loss(q.T @ matrix @ p), 30)
        return plain, q.T @ turned @ p

    # The new bases are found in 32 bits.
    torch.testing.assert_close(*both(lambda parameters: SOAP(parameters, lr=0.05)), atol=1e-3, rtol=0)
    plain, turned = both(lambda parameters: AdamW(parameters, lr=0.05, weight_decay=0.0))
    assert (plain - turned).abs().max() > 0.1


@pytest.mark.parametrize("shape", [(), (5,), (7, 64), (256, 3)])
def test_biases_and_thin_matrices_are_adams(shape: tuple[int, ...]):
    numbers = torch.Generator().manual_seed(3)
    start, goal = (torch.randn(shape, generator=numbers) for _ in range(2))
    settings = {"lr": 0.01, "betas": (0.9, 0.98), "weight_decay": 0.1}

    def loss(parameter: Tensor) -> Tensor:
        return (parameter - goal).square().sum()

    ours = minimise(lambda parameters: SOAP(parameters, **settings), start, loss, 21)  # the first changes nothing
    torch.testing.assert_close(ours, minimise(lambda parameters: AdamW(parameters, **settings), start, loss, 20))


@pytest.mark.parametrize("shape", [(8, 48, 3, 3), (64, 64, 3, 3), (8, 700)])
def test_kernels_of_few_outputs_stay_finite(shape: tuple[int, ...]):
    numbers = torch.Generator().manual_seed(4)
    start = torch.randn(shape, generator=numbers)

    def loss(kernel: Tensor) -> Tensor:  # gradients of rank 1
        return (kernel.flatten(1) @ torch.ones(kernel[0].numel())).square().mean()

    after = minimise(lambda parameters: SOAP(parameters, lr=1e-3, refresh=2), start, loss, 20)
    assert after.isfinite().all()
    assert loss(after) < loss(start)


def test_an_interrupted_run_continues_as_if_it_had_not_been():
    loss, start = ill_conditioned(5, 9, 8)
    whole = minimise(SOAP, start, loss, 25)
    first = start.clone().requires_grad_()
    optimizer = SOAP([first])
    for step in range(25):
        if step == 13:
            state = optimizer.state_dict()
            first = first.detach().clone().requires_grad_()
            optimizer = SOAP([first])
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        loss(first).backward()
        optimizer.step()
    assert torch.equal(whole, first.detach())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"lr": -1.0}, r"lr=-1.0 must be at least 0"),
        ({"betas": (0.9,)}, r"betas=\[0.9\] must be two numbers"),
        ({"betas": (0.9, 1.0)}, r"betas=\[0.9, 1.0\] must be two numbers of at least 0 and below 1"),
        ({"eps": -1e-8}, "eps=-1e-08 must be at least 0"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 must be at least 0"),
        ({"refresh": 0}, "refresh=0 must be at least 1 step"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(setting: dict, message: str):
    with pytest.raises(ValueError, match=message):
        SOAP([torch.zeros(3, requires_grad=True)], **setting)
