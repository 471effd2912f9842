"""The training loop shared by all parts: learning rate schedule, averaged weights, saved state.

Training can be stopped at any time and resumed from its last saved state, even with another number of
threads. Its length is given in minutes of training time (not wall-clock time) or in steps.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn


@dataclass
class TrainingClock:
    """Training progress from 0 to 1, by steps if `steps` is set, else by training time."""

    minutes: float
    steps: int | None = None
    step: int = 0
    seconds: float = 0.0
    """Training time so far in seconds, over all runs."""
    _started: float = field(default_factory=time.monotonic)

    def tick(self) -> None:
        """Count one step and the time since the last tick."""
        now = time.monotonic()
        self.seconds += now - self._started
        self._started = now
        self.step += 1

    def restart(self) -> None:
        """Discard the time since the last tick (set-up, saving, previews)."""
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
    """An exponential moving average (EMA) of parameters in float32."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self._parameters = list(parameters)
        self.decay = decay
        self.values = [p.detach().clone().float() for p in self._parameters]
        self._kept: list[torch.Tensor] | None = None

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average, with a faster decay in the first steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [p.detach() for p in self._parameters], 1 - decay)

    @torch.no_grad()
    def swap_in(self) -> None:
        """Load the average into the model; `swap_out` restores the current weights."""
        self._kept = [p.detach().clone() for p in self._parameters]
        for parameter, value in zip(self._parameters, self.values, strict=True):
            parameter.copy_(value)

    @torch.no_grad()
    def swap_out(self) -> None:
        """Restore the weights saved by `swap_in`."""
        if self._kept is None:
            return
        for parameter, value in zip(self._parameters, self._kept, strict=True):
            parameter.copy_(value)
        self._kept = None


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Save a training state atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """A state saved by `save_state`, or None."""
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


class TrainingLog:
    """Prints one line of averaged losses every `every` steps."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._sums: dict[str, float] = {}
        self._count = 0

    def note(self, clock: TrainingClock, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if clock.step % self.every == 0:
            means = "  ".join(f"{name} {total / self._count:.4f}" for name, total in self._sums.items())
            print(
                f"step {clock.step}  {clock.seconds / 60:.1f} min  {clock.progress:.1%}  {means}", flush=True
            )
            self._sums, self._count = {}, 0


class Stateful(Protocol):
    """A module or other object with a state dict, saved by name."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any: ...


class Training:
    """AdamW with warm-up, cosine schedule and averaged weights; resumes from `path` if it exists.

    `parts` are saved by name, `notes` unchanged; `trained` are the trainable parameters. On resuming, torch
    is seeded differently from `seed`, so that random numbers are not repeated.
    """

    def __init__(
        self,
        path: Path,
        parts: Mapping[str, Stateful],
        trained: Iterable[nn.Parameter],
        clock: TrainingClock,
        *,
        seed: int,
        peak: float,
        warm_up: int,
        decay: float,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.99),
        clip: float = 1.0,
        notes: dict[str, Any] | None = None,
    ) -> None:
        self._path, self._parts, self._notes = path, parts, notes or {}
        self._trained, self.clock = list(trained), clock
        self._peak, self._warm_up, self._clip = peak, warm_up, clip
        self.average = AveragedWeights(self._trained, decay)
        self._optimiser = torch.optim.AdamW(
            self._trained, lr=peak, betas=betas, weight_decay=weight_decay, fused=True
        )
        state = load_state(path)
        if state is not None:
            for name, part in parts.items():
                part.load_state_dict(state[name])
            self._optimiser.load_state_dict(state["optimiser"])
            self.average.values = state["average"]
            clock.step, clock.seconds = state["step"], state["seconds"]
            torch.manual_seed(seed + clock.step)

    def save(self) -> None:
        """Save the state atomically."""
        save_state(
            self._path,
            {
                **{name: part.state_dict() for name, part in self._parts.items()},
                **self._notes,
                "optimiser": self._optimiser.state_dict(),
                "average": self.average.values,
                "step": self.clock.step,
                "seconds": self.clock.seconds,
            },
        )

    def run(
        self,
        loss_of: Callable[[int], tuple[torch.Tensor, dict[str, float]]],
        after: Callable[[int], None] = lambda _step: None,
        log_every: int = 50,
    ) -> None:
        """Train to the end, saving every two minutes; then load the averaged weights.

        `loss_of(step)` returns the loss and further values to log; `after(step)` is called after each step,
        and its time does not count.
        """
        clock, log, saved_at = self.clock, TrainingLog(log_every), self.clock.seconds
        clock.restart()
        while not clock.done:
            for group in self._optimiser.param_groups:
                group["lr"] = learning_rate(self._peak, clock.step, clock.progress, self._warm_up)
            loss, details = loss_of(clock.step)
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self._trained, self._clip)
            self._optimiser.step()
            self.average.update(clock.step)
            clock.tick()
            log.note(clock, {"loss": loss.item(), **details})
            if clock.seconds - saved_at > 120:
                saved_at = clock.seconds
                self.save()
            after(clock.step)
            clock.restart()
        self.save()
        self.average.swap_in()
