"""Schedules over optimiser steps: learning rate, sigma, KL weight, image size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gqn_probe.choices import check_choice


@dataclass(frozen=True)
class Schedule:
    """Value from ``start`` to ``end`` over ``steps`` steps, then constant; a pure function of the step.

    Eslami et al. 2018 anneal linearly: learning rate 5e-4 to 5e-5 over 1.6e6 steps, sigma 2.0 to 0.7 over 2e5 steps.

    Args:
        shape: "linear", "cosine" or "geometric" (equal ratios in equal times).
        warmup: steps of a linear rise from zero to ``start``, included in ``steps``.
        hold: fraction of ``steps``, warmup included, until which the value stays at ``start``.
    """

    start: float
    end: float
    steps: int
    shape: str = "linear"
    warmup: int = 0
    hold: float = 0.0

    def __post_init__(self) -> None:
        check_choice("schedule shape", self.shape, ("linear", "cosine", "geometric"))
        if self.shape == "geometric" and min(self.start, self.end) <= 0:
            raise ValueError(f"a geometric schedule needs values above 0, got start={self.start} and end={self.end}")
        if not 0 <= self.hold < 1:
            raise ValueError(f"a schedule's hold={self.hold} is a fraction of its steps: at least 0 and below 1")
        if self.steps < 1 or self.warmup < 0:
            raise ValueError(f"a schedule needs steps >= 1 and warmup >= 0, got {self.steps} and {self.warmup}")

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self.start * (step + 1) / (self.warmup + 1)
        begin = max(self.warmup, self.hold * self.steps)
        done = min(1.0, max(0.0, (step - begin) / max(1, self.steps - begin)))
        if self.shape == "geometric":
            return self.start * (self.end / self.start) ** done
        if self.shape == "cosine":
            done = 0.5 - 0.5 * math.cos(math.pi * done)
        return self.start + (self.end - self.start) * done


def as_schedule(name: str, value: object) -> Schedule:
    """Return a schedule unchanged, or the constant schedule of a number.

    Raises:
        ValueError: the value is neither; names the setting.
    """
    if isinstance(value, Schedule):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"training.{name}={value} is neither a number nor a schedule: write training.{name}=0.001")
    return Schedule(start=float(value), end=float(value), steps=1)


@dataclass(frozen=True)
class Stage:
    """Part of training at one image size, for a curriculum from small to large images.

    A network that takes images of any size learns most from images with a quarter of the pixels, at a quarter of the
    cost.
    """

    size: int  # height and width to which images are averaged
    until: float  # fraction of all steps at which the stage ends
    queries: int  # query views of each scene


def stage_at(stages: Sequence[Stage], done: float) -> Stage:
    """Return the stage after a fraction of the steps."""
    return next((stage for stage in stages if done < stage.until), stages[-1])


def check_stages(stages: Sequence[Stage], size: int) -> None:
    """Raise ValueError unless the stages are in order and end with images of ``size`` at the last step."""
    ends = [stage.until for stage in stages]
    if ends != sorted(set(ends)) or ends[-1:] != [1.0] or ends[0] <= 0:
        raise ValueError(f"training.sizes end at {ends} of the steps: let them ascend from above 0 to 1.0")
    for stage in stages:
        if stage.size < 4 or size % stage.size:
            raise ValueError(f"training.sizes has size={stage.size}, of which data.size={size} is not a multiple")
        if stage.queries < 1:
            raise ValueError(f"training.sizes has queries={stage.queries}: give at least 1")
    if stages[-1].size != size:
        raise ValueError(f"training.sizes ends at size={stages[-1].size}, but data.size={size}: make them equal")
