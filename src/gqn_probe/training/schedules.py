"""Schedules over optimiser steps: learning rate, pixel deviation, weight of the KL, size of the images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gqn_probe.choices import check_choice


@dataclass(frozen=True)
class Schedule:
    """From ``start`` to ``end`` over ``steps`` steps, then constant; a pure function of the step.

    Eslami et al. 2018 anneal linearly: learning rate 5e-4 to 5e-5 over 1.6e6 steps, pixel deviation 2.0 to 0.7
    over 2e5 steps. ``warmup`` steps rise from zero first, then a share ``hold`` of the steps stays at the start; both
    count among ``steps``. ``shape`` is "linear", "cosine" or "geometric" (equal ratios in equal times).
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
            raise ValueError(f"a schedule's hold={self.hold} is a share of its steps: at least 0 and below 1")
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
    """A schedule as it is, or one that stays at a number.

    Raises:
        ValueError: it is neither; names the setting.
    """
    if isinstance(value, Schedule):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"training.{name}={value} is neither a number nor a schedule: write training.{name}=0.001")
    return Schedule(start=float(value), end=float(value), steps=1)


@dataclass(frozen=True)
class Stage:
    """A part of training at one size of images; small ones first are a curriculum of resolution.

    Where a network takes images of any size, those of a quarter of the pixels teach it most of what it learns for a
    quarter of the work.
    """

    size: int  # height and width of the images, which are averaged down to it
    until: float  # the share of all steps at which it ends, in 0..1
    queries: int  # query views a scene, predicted from one encoding of its context


def stage_at(stages: Sequence[Stage], done: float) -> Stage:
    """The stage after a share of the steps."""
    return next((stage for stage in stages if done < stage.until), stages[-1])


def check_stages(stages: Sequence[Stage], size: int) -> None:
    """Refuse stages that do not lead to images of ``size`` at the last step.

    Raises:
        ValueError: naming the value that is wrong.
    """
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
