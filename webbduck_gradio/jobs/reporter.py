"""Writes a handler's reports to the job store, the run folder and the preview file."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core.progress import Continuation, UnfinishedState
from ..errors import CancelledError, StorageError, SuspendedError
from .job import Job
from .lazy_run import LazyRun
from .previews import PreviewFiles
from .store import JobStore
from .unfinished import StateSaver

if TYPE_CHECKING:
    from PIL.Image import Image


log = logging.getLogger(__name__)


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
        self.continuation: Continuation = store.continuation(job)
        self._saver = StateSaver(store.unfinished, job.id)
        self._is_in_image = False
        """Whether a step of the current image was done, which would be lost without its state."""
        self._state: UnfinishedState | None = None
        """The state after the last step, if it was asked for."""

    def worked(self, pictures: float, name: str) -> None:
        self._store.worked(self.job.id, pictures, name)

    def step(self, image_index: int, step: int, total: int) -> None:
        self._is_in_image, self._state = True, None
        self._store.progress(self.job.id, image_index, step, total)

    def status(self, text: str) -> None:
        self._store.status(self.job.id, text)

    def check(self) -> None:
        if self._stopping.is_set():
            self._keep_state()
            raise StoppingError("The studio is stopping.")
        if self._store.cancelled(self.job.id):
            raise CancelledError("The job was cancelled.")
        if self._store.suspending(self.job.id):
            self._suspend()

    def _keep_state(self) -> None:
        if self._state is not None:
            try:
                self._saver.save_now(self._state)
            except StorageError as problem:
                log.warning("Job %s cannot go on from its last step: %s", self.job.id, problem)

    def _suspend(self) -> None:
        """Raise `SuspendedError` as soon as nothing is lost by it."""
        if self._state is not None:
            try:
                self._saver.save_now(self._state)
            except StorageError as problem:
                text = f"The job could not be put aside and goes on running: {problem}"
                log.warning("Job %s: %s", self.job.id, text)
                self._store.refuse_suspension(self.job.id, text)
                return
        elif self._is_in_image:
            return
        raise SuspendedError("The job was put aside.")

    def wants_state(self) -> bool:
        return self._saver.is_due or self._store.suspending(self.job.id) or self._stopping.is_set()

    def state(self, state: UnfinishedState) -> None:
        self._state = state
        if self._saver.is_due:
            self._saver.save(state)

    def settle(self) -> None:
        """Wait until nothing is being written for this job any more."""
        self._saver.settle()

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
        self,
        index: int,
        image: Image,
        seed: int,
        warnings: Sequence[str],
        facts: Mapping[str, Any],
        stages: Mapping[str, Image],
    ) -> None:
        self._run.save(index, image, seed, warnings, facts, stages, self)
        self._is_in_image, self._state = False, None

    def run_started(self, run: str) -> None:
        self._store.run_started(self.job.id, run)

    def image_done(self, image_id: str) -> None:
        self._store.image_done(self.job.id, image_id)

    def set_result(self, result: Mapping[str, Any]) -> None:
        self._store.set_result(self.job.id, result)
