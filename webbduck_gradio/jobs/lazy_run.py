"""The run folder of the job that is at work: made late, and waited for where it is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import StorageError
from .job import Job
from .obstacles import Obstacles
from .store import JobStore

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..gallery.outputs import Outputs, Run

log = logging.getLogger(__name__)

SAVE_AGAIN_SECONDS = 1.0


class Waiting(Protocol):
    """What is told while a picture waits to be saved; `check` raises where the user cancels."""

    def status(self, text: str) -> None: ...

    def check(self) -> None: ...


class LazyRun:
    """The folder is made when the first picture is there, so that no job leaves an empty one."""

    def __init__(self, job: Job, store: JobStore, outputs: Outputs, obstacles: Obstacles):
        self._job, self._store, self._outputs, self._obstacles = job, store, outputs, obstacles
        self._run: Run | None = None
        self.images: list[str] = []
        """Ids of the pictures that are on the disk, whether or not the queue could note them."""

    @property
    def id(self) -> str | None:
        return self._run.id if self._run else None

    def save(
        self,
        index: int,
        image: Image,
        seed: int,
        warnings: Sequence[str],
        facts: Mapping[str, Any],
        waiting: Waiting,
    ) -> None:
        """Save a picture. Where the output folder is away, wait for it: what is drawn must not be lost.

        Raises `StorageError` for all else that refuses it, and `Cancelled` while it waits.
        """
        before = len(self.images)
        while len(self.images) == before:
            try:
                self._get().save(index, image, seed, warnings, facts, self._saved)
            except StorageError as error:
                if len(self.images) > before:
                    raise  # the picture is there; what failed is the record
                problem = self._obstacles.found()
                if problem is None:
                    raise
                log.warning("A picture of job %s waits to be saved: %s (%s)", self._job.id, problem, error)
                waiting.status(f"Waiting to save: {problem}")
                waiting.check()
                time.sleep(SAVE_AGAIN_SECONDS)

    def _get(self) -> Run:
        if self._run is None:
            job = self._job
            self._run = self._outputs.new_run(job.generation_request, job.kind, job.id, job.owner)
            # Before the first picture is saved: after a kill the job then still knows where to look.
            self._store.run_started(job.id, self._run.id)
        return self._run

    def _saved(self, image_id: str) -> None:
        self.images.append(image_id)
        self._store.image_done(self._job.id, image_id)

    def close(self, state: str) -> None:
        """Record how the job ended."""
        if self._run is not None:
            self._run.close(state)
