"""Progress of the running job: kept in memory, because it changes many times a second."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

LEAST_STEPS = 2
"""Steps that must have been measured before a time left is told."""


@dataclass
class Live:
    """Written by the worker's thread, read by all; each reading is of single values, so no lock is needed."""

    step: int = 0
    total: int = 0
    image_index: int = 0
    status: str = "Starting"
    preview: int = 0
    cancel: threading.Event = field(default_factory=threading.Event)
    """Set when the user wants this job, and no other, to stop at its next step."""
    _measured: int = 0
    _seconds: float = 0.0
    _last: float | None = None

    def stepped(self, image_index: int, step: int, total: int, now: float | None = None) -> None:
        """After a denoising step. Only the time between two steps of one image counts as a step's time.

        The first step of an image carries the encoding of the prompt or the decoding of the image
        before it, so it would make the estimate too long.
        """
        now = time.monotonic() if now is None else now
        if self._last is not None and image_index == self.image_index and step > self.step:
            self._measured += step - self.step
            self._seconds += now - self._last
        self.image_index, self.step, self.total, self._last = image_index, step, total, now

    def seconds_per_step(self) -> float | None:
        return self._seconds / self._measured if self._measured >= LEAST_STEPS else None

    def seconds_left(self, num_images: int) -> float | None:
        """Seconds of denoising that remain for the whole batch; None before there is something to go by."""
        pace = self.seconds_per_step()
        if pace is None or not self.total:
            return None
        steps = self.total - self.step + self.total * max(0, num_images - 1 - self.image_index)
        return max(0.0, steps * pace)
