"""Writes a handler's reports to the job store, the run folder and the preview file."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import CancelledError
from .job import Job
from .lazy_run import LazyRun
from .previews import PreviewFiles
from .store import JobStore

if TYPE_CHECKING:
    from PIL.Image import Image


class StoppingError(CancelledError):
    """The studio is stopping: the job is interrupted, not cancelled."""


class StoreReporter:
    """Implements `handlers.RunningJob`. `stopping`: set when the studio is stopping."""

    def __init__(
        self, job: Job, store: JobStore, run: LazyRun, previews: PreviewFiles, stopping: threading.Event
    ):
        self.job = job
        self._store, self._run, self._previews, self._stopping = store, run, previews, stopping
        self._last_preview = float("-inf")

    def step(self, image_index: int, step: int, total: int) -> None:
        self._store.progress(self.job.id, image_index, step, total)

    def status(self, text: str) -> None:
        self._store.status(self.job.id, text)

    def check(self) -> None:
        if self._stopping.is_set():
            raise StoppingError("The studio is stopping.")
        if self._store.cancelled(self.job.id):
            raise CancelledError("The job was cancelled.")

    def check_between_images(self) -> None:
        self.check()
        if self._store.cancelled_after_image(self.job.id):
            raise CancelledError("The job was cancelled.")

    def wants_preview(self) -> bool:
        return time.monotonic() - self._last_preview >= self._previews.seconds_between

    def preview(self, image: Image) -> None:
        if self.wants_preview():
            self._last_preview = time.monotonic()
            if self._previews.write(self.job.id, image):
                self._store.new_preview(self.job.id)

    def warn(self, texts: Sequence[str]) -> None:
        for text in texts:
            self._store.add_warnings(self.job.id, text)

    def save(
        self, index: int, image: Image, seed: int, warnings: Sequence[str], facts: Mapping[str, Any]
    ) -> None:
        self._run.save(index, image, seed, warnings, facts, self)

    def run_started(self, run: str) -> None:
        self._store.run_started(self.job.id, run)

    def image_done(self, image_id: str) -> None:
        self._store.image_done(self.job.id, image_id)

    def set_result(self, result: Mapping[str, Any]) -> None:
        self._store.set_result(self.job.id, result)
