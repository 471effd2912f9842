"""Progress of the running job: kept in memory, because it changes many times a second."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

MIN_STEPS = 2
"""Measured steps needed for an estimate of the remaining time."""


@dataclass
class JobProgress:
    """Written by the worker's thread, read by any; only single values are read, so no lock is needed."""

    step: int = 0
    total: int = 0
    image_index: int = 0
    pictures: float = 0.0
    """How many of the job's pictures are done, the current one by the share of its work. Never falls."""
    pass_name: str = ""
    """What draws, where a picture has several passes."""
    status: str = "Starting"
    preview: int = 0
    cancel: threading.Event = field(default_factory=threading.Event)
    """Set to stop the job at its next step."""
    cancel_after_image: threading.Event = field(default_factory=threading.Event)
    """Set to stop the job when the current image is finished."""
    suspend: threading.Event = field(default_factory=threading.Event)
    """Set to put the job aside."""
    suspend_problem: str | None = None
    """Why it could not be put aside, in one sentence."""
    _last: float | None = None
    _is_told: bool = False
    """Whether the core tells the share of the work; else it is that of the steps."""
    _pictures_before: float = 0.0
    _work: float = 0.0
    """In pictures, of the measured steps."""
    _steps: int = 0
    _seconds: float = 0.0
    _gaps: int = 0
    _gap_seconds: float = 0.0

    def worked(self, pictures: float, name: str) -> None:
        """Called before `stepped`; see `core.progress.ProgressReporter.worked`."""
        self.pictures, self.pass_name, self._is_told = max(self.pictures, pictures), name, True

    def stepped(self, image_index: int, step: int, total: int, now: float | None = None) -> None:
        """Called after a denoising step; `now` in seconds of the monotonic clock.

        Only the time between two steps of one image counts as a step's. The time before the first step of
        the next image includes decoding and saving, which are measured separately.
        """
        now = time.monotonic() if now is None else now
        if not self._is_told and total:
            self.pictures = max(self.pictures, image_index + step / total)
        if self._last is not None:
            if image_index == self.image_index and step > self.step:
                self._steps += step - self.step
                self._seconds += now - self._last
                self._work += self.pictures - self._pictures_before
            elif image_index == self.image_index + 1:
                self._gaps += 1
                self._gap_seconds += max(0.0, now - self._last - step * (self.seconds_per_step() or 0.0))
        self.image_index, self.step, self.total, self._last = image_index, step, total, now
        self._pictures_before = self.pictures

    def seconds_per_step(self) -> float | None:
        """Measured average; None before `MIN_STEPS` steps."""
        return self._seconds / self._steps if self._steps >= MIN_STEPS else None

    def seconds_left(self, num_images: int) -> float | None:
        """Estimated seconds for the rest of the batch; None before enough steps were measured.

        Decoding and saving are included from the second image on, once they were measured.
        """
        if self.seconds_per_step() is None or not self._work:
            return None
        images = num_images - self.image_index
        left = max(0.0, num_images - self.pictures) * self._seconds / self._work
        return left + images * (self._gap_seconds / self._gaps if self._gaps else 0.0)
