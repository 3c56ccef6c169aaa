"""Values that change with the optimiser step: learning rate, pixel deviation, weight of the KL."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """From ``start`` to ``end`` over ``steps`` steps, then constant; a pure function of the step.

    Eslami et al. 2018 anneal linearly: learning rate 5e-4 to 5e-5 over 1.6e6 steps, pixel deviation 2.0 to 0.7
    over 2e5 steps. ``warmup`` steps rise from zero first, and count among ``steps``.
    """

    start: float
    end: float
    steps: int
    shape: str = "linear"  # or "cosine"
    warmup: int = 0

    def __post_init__(self) -> None:
        if self.shape not in ("linear", "cosine"):
            raise ValueError(f"schedule shape {self.shape!r} is neither 'linear' nor 'cosine'")
        if self.steps < 1 or self.warmup < 0:
            raise ValueError(f"a schedule needs steps >= 1 and warmup >= 0, got {self.steps} and {self.warmup}")

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self.start * (step + 1) / (self.warmup + 1)
        done = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        if self.shape == "cosine":
            done = 0.5 - 0.5 * math.cos(math.pi * done)
        return self.start + (self.end - self.start) * done
