"""What every training here shares: the loop, the clock that drives the learning rate, weights, state.

A training can be stopped at any time and goes on from its last checkpoint file, with another number of
threads if wanted. Its length is given in minutes of training (not of the wall clock) or in steps.
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


class Part(Protocol):
    """What a training's file holds by name: a module, or anything else with a state."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any: ...


class Training:
    """AdamW with a warm-up, a cosine and averaged weights, that goes on from `path` where that is there.

    `parts` are kept in the file by their names, `notes` as they are; `trained` are the parameters that move.
    From `seed` torch's random numbers begin anew when a training goes on: it does not draw the same again.
    """

    def __init__(
        self,
        path: Path,
        parts: Mapping[str, Part],
        trained: Iterable[nn.Parameter],
        clock: Clock,
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
        """Write the state, whole or not at all."""
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
        tell_every: int = 50,
    ) -> None:
        """Train until the clock is done, saving every two minutes; then put the averaged weights in.

        `loss_of(step)` gives the loss and the further values that the diary prints; `after(step)` is called
        behind each step, and its time does not count.
        """
        clock, diary, saved_at = self.clock, Diary(tell_every), self.clock.seconds
        clock.restart()
        while not clock.done:
            for group in self._optimiser.param_groups:
                group["lr"] = learning_rate(self._peak, clock.step, clock.progress, self._warm_up)
            loss, told = loss_of(clock.step)
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self._trained, self._clip)
            self._optimiser.step()
            self.average.update(clock.step)
            clock.tick()
            diary.note(clock, {"loss": loss.item(), **told})
            if clock.seconds - saved_at > 120:
                saved_at = clock.seconds
                self.save()
            after(clock.step)
            clock.restart()
        self.save()
        self.average.swap_in()
