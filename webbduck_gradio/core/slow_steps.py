"""Notices when a graphics card's driver swaps: nothing fails then, but a step takes many times as long."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

TIMES = 10
SECONDS = 5.0
KNOWN = 5
"""A step is slow that takes `TIMES` the median of at least `KNOWN` earlier ones, and `SECONDS` more."""

SWAPPING = (
    "A step took {times} times as long as those before it: the graphics card's memory is probably full and "
    "the driver swaps; choose a smaller size, or another memory policy (--memory offload)."
)


class SlowSteps:
    """The lengths of a job's steps."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        """`clock`: seconds."""
        self._clock = clock
        self._last: float | None = None
        self._lengths: list[float] = []
        self._is_said = False

    def begin(self) -> None:
        """A pass begins. Its first step also moves models, so it is not counted."""
        self._last = None

    def step(self) -> str | None:
        """A step has ended. The warning, once in a job, if it took far longer than those before it."""
        now, last = self._clock(), self._last
        self._last = now
        if last is None:
            return None
        length, before = now - last, list(self._lengths)
        self._lengths.append(length)
        if self._is_said or len(before) < KNOWN:
            return None
        usual = statistics.median(before)
        if length < TIMES * usual or length - usual <= SECONDS:
            return None
        self._is_said = True
        return SWAPPING.format(times=round(length / usual) if usual else TIMES)
