"""SOAP: Adam in the eigenbases of Shampoo's preconditioners (Vyas et al. 2024, arXiv:2409.11321, algorithm 3).

Of the gradient G (n x m) of a weight matrix, running means are kept of G G' and G' G. Their eigenvectors are the axes
along which gradients of outputs and inputs vary independently, so that Adam's division by each number's own deviation,
which neglects how numbers vary together, fits better along them: with Q and P the eigenvectors, M and V Adam's moments,

    W <- W - rate Q (Q' M P / (sqrt V + eps)) P',      V of (Q' G P)^2

A kernel of a convolution is the matrix of its outputs by all that each of them sees. Biases, and matrices with a side
shorter than ``SHORTEST``, are left to Adam.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

SHORTEST = 8  # of a matrix's sides


class SOAP(Optimizer):
    """The optimiser of the points network: equal losses in half of AdamW's steps, each a tenth longer.

    The first gradient sets the eigenbases and changes no weight.

    Args:
        parameters: tensors or groups of them, as any optimiser takes them.
        lr: step size, on Adam's scale.
        betas: decay of the running means of the gradient, and of its square and the preconditioners.
        eps: added to the root of the second moment.
        weight_decay: decoupled, as AdamW's.
        refresh: steps between two updates of the eigenbases, each one step of power iteration.
        longest: longest side of a matrix that gets an eigenbasis; along longer ones, numbers are taken as they are.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 3e-3,
        *,
        betas: Sequence[float] = (0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        refresh: int = 10,
        longest: int = 600,
    ) -> None:
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas={list(betas)} must be two numbers of at least 0 and below 1")
        for name, value in {"lr": lr, "eps": eps, "weight_decay": weight_decay}.items():
            if value < 0:
                raise ValueError(f"{name}={value} must be at least 0")
        if refresh < 1:
            raise ValueError(f"refresh={refresh} must be at least 1 step")
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, settings | {"refresh": refresh, "longest": longest})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Change every parameter that has a gradient; return what ``closure`` returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    _change(parameter, _as_matrix(parameter.grad), self.state[parameter], group)
        return loss


def _change(parameter: Tensor, gradient: Float[Tensor, "n m"], state: dict[str, Any], settings: dict[str, Any]) -> None:
    sides = _sides(gradient, settings["longest"])
    if not state:
        state |= _first_state(gradient, sides)
        return
    state["step"] += 1
    step, (slow, slower) = int(state["step"]), settings["betas"]
    for side in sides:
        state[f"covariance_{side}"].lerp_(_covariance(gradient, side), 1 - slower)
    bases = {side: state[f"basis_{side}"] for side in sides}
    state["mean"].lerp_(gradient, 1 - slow)
    state["square"].lerp_(_turned(gradient, bases).square(), 1 - slower)
    mean, square = _turned(state["mean"], bases) / (1 - slow**step), state["square"] / (1 - slower**step)
    change = _turned(mean / (square.sqrt() + settings["eps"]), {side: basis.T for side, basis in bases.items()})
    parameter.mul_(1 - settings["lr"] * settings["weight_decay"])
    parameter.sub_(settings["lr"] * change.reshape(parameter.shape))
    if step % settings["refresh"] == 0:
        for side in sides:
            _refresh(state, side)


def _as_matrix(gradient: Tensor) -> Float[Tensor, "n m"]:
    """Return the gradient of a weight as outputs by all that each of them sees; of a bias as a column."""
    return gradient.reshape(len(gradient), -1) if gradient.ndim else gradient.reshape(1, 1)


def _first_state(gradient: Float[Tensor, "n m"], sides: list[int]) -> dict[str, Tensor]:
    state = {"step": torch.tensor(0.0), "mean": torch.zeros_like(gradient), "square": torch.zeros_like(gradient)}
    for side in sides:
        state[f"covariance_{side}"] = covariance = _covariance(gradient, side)
        # In 64 bits: of the many zero eigenvalues where outputs are few, 32 bits can make NaN.
        state[f"basis_{side}"] = torch.linalg.eigh(covariance.cpu().double())[1].to(gradient)
    return state


def _sides(matrix: Float[Tensor, "n m"], longest: int) -> list[int]:
    """Return the dimensions that get an eigenbasis."""
    return [side for side, length in enumerate(matrix.shape) if length <= longest and min(matrix.shape) >= SHORTEST]


def _covariance(matrix: Float[Tensor, "n m"], side: int) -> Float[Tensor, "side side"]:
    return matrix.T @ matrix if side else matrix @ matrix.T


def _turned(matrix: Float[Tensor, "n m"], bases: dict[int, Tensor]) -> Float[Tensor, "n m"]:
    """Return a matrix in terms of the bases, whose columns are the new axes."""
    for side, basis in bases.items():
        matrix = matrix @ basis if side else basis.T @ matrix
    return matrix


def _refresh(state: dict[str, Any], side: int) -> None:
    """Take one step of power iteration towards the eigenvectors, the largest first; V follows their new order."""
    covariance, basis = state[f"covariance_{side}"], state[f"basis_{side}"]
    images = covariance @ basis
    order = (basis * images).sum(dim=0).argsort(descending=True)
    state["square"] = state["square"].index_select(side, order)
    able = "cpu" if basis.device.type == "mps" else basis.device  # Apple's GPUs have no decompositions
    state[f"basis_{side}"] = torch.linalg.qr(images[:, order].float().to(able))[0].to(basis)
