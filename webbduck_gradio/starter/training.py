"""What every training here shares: the clock that drives the learning rate, averaged weights, checkpoints.

A training can be stopped at any time and goes on from its last checkpoint file, with another number of
threads if wanted. Its length is given in minutes of training (not of the wall clock) or in steps.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn


@dataclass
class Clock:
    """How far a training is. Progress runs from 0 to 1 by steps where `steps` is set, else by time."""

    minutes: float
    steps: int | None = None
    step: int = 0
    seconds: float = 0.0
    """Seconds trained so far, over all runs."""
    _started: float = field(default_factory=time.monotonic)

    def tick(self) -> None:
        """Count one step and the time since the last tick."""
        now = time.monotonic()
        self.seconds += now - self._started
        self._started = now
        self.step += 1

    def restart(self) -> None:
        """Forget the time since the last tick (set-up, saving, previews)."""
        self._started = time.monotonic()

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end."""
        if self.steps is not None:
            return min(1.0, self.step / self.steps) if self.steps else 1.0
        return min(1.0, self.seconds / (self.minutes * 60)) if self.minutes > 0 else 1.0

    @property
    def done(self) -> bool:
        return self.progress >= 1.0


def learning_rate(peak: float, step: int, progress: float, warm_up: int, floor: float = 0.02) -> float:
    """Linear warm-up over `warm_up` steps, then a cosine down to `floor` times the peak at progress 1."""
    cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return peak * cosine * min(1.0, (step + 1) / warm_up)


class AveragedWeights:
    """An exponential moving average of parameters, kept in float32."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self._parameters = list(parameters)
        self.decay = decay
        self.values = [p.detach().clone().float() for p in self._parameters]
        self._kept: list[torch.Tensor] | None = None

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the present weights; faster in the first steps, when they mean little."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [p.detach() for p in self._parameters], 1 - decay)

    @torch.no_grad()
    def swap_in(self) -> None:
        """Put the average into the model, keeping the present weights for `swap_out`."""
        self._kept = [p.detach().clone() for p in self._parameters]
        for parameter, value in zip(self._parameters, self.values, strict=True):
            parameter.copy_(value)

    @torch.no_grad()
    def swap_out(self) -> None:
        """Bring back the weights that `swap_in` put aside."""
        if self._kept is None:
            return
        for parameter, value in zip(self._parameters, self._kept, strict=True):
            parameter.copy_(value)
        self._kept = None


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training's state so that `path` is always either the old file or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """A state written by `save_state`, or None where there is none yet."""
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


class Diary:
    """Prints one line of averaged losses every `every` steps."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._sums: dict[str, float] = {}
        self._count = 0

    def note(self, clock: Clock, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if clock.step % self.every == 0:
            means = "  ".join(f"{name} {total / self._count:.4f}" for name, total in self._sums.items())
            print(
                f"step {clock.step}  {clock.seconds / 60:.1f} min  {clock.progress:.1%}  {means}", flush=True
            )
            self._sums, self._count = {}, 0
