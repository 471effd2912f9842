"""The run folder of the running job: created with the first image; saving waits for an unavailable folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import StorageError
from ..request import GenerationRequest
from .job import Job
from .obstacles import Obstacles
from .store import JobStore

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..gallery.outputs import Outputs, Run

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 1.0
SAVE_AGAIN_SECONDS = 30.0
"""Longest time between two tries, even if the folder's problem seems to be the same."""


class Waiting(Protocol):
    """Receives status messages while an image waits to be saved; `check` raises if the job is cancelled."""

    def status(self, text: str) -> None: ...

    def check(self) -> None: ...


class LazyRun:
    """Creates the run's folder when the first image is finished, so that no job leaves an empty one; a job
    that goes on has its run already."""

    def __init__(self, job: Job, store: JobStore, outputs: Outputs, obstacles: Obstacles):
        self._job, self._store, self._outputs, self._obstacles = job, store, outputs, obstacles
        self._run: Run | None = None
        self.images: list[str] = []
        """Ids of the images on disk, whether or not the store could record them."""

    @property
    def id(self) -> str | None:
        return self._run.id if self._run else None

    def reopen(self) -> None:
        """Use the run that the job had before it was put aside or interrupted, if it had one."""
        job = self._job
        is_own = isinstance(job.request, GenerationRequest)  # a copy is saved by other means
        if is_own and job.run is not None and job.continued is not None:
            self._run = self._outputs.reopen_run(job.run, job.generation_request, job.kind, job.id, job.owner)

    def save(
        self,
        index: int,
        image: Image,
        seed: int,
        warnings: Sequence[str],
        facts: Mapping[str, Any],
        stages: Mapping[str, Image],
        waiting: Waiting,
    ) -> None:
        """Save an image and its stages. If the output folder is unavailable, wait for it, so that they are
        not lost.

        Raises `StorageError` for any other failure, and `CancelledError` while waiting.
        """
        before = len(self.images)
        while len(self.images) == before:
            try:
                self._get().save(index, image, seed, warnings, facts, self._saved, stages)
            except StorageError as error:
                if len(self.images) > before:
                    raise  # the image was saved; recording it failed
                problem = self._obstacles.found()
                if problem is None:
                    raise
                log.warning("An image of job %s cannot be saved yet: %s (%s)", self._job.id, problem, error)
                waiting.status(f"Waiting to save: {problem}")
                self._wait_for_change(problem, waiting)

    def _wait_for_change(self, problem: str, waiting: Waiting) -> None:
        """Wait while the folder has this problem, at most `SAVE_AGAIN_SECONDS`.

        Only a failed try to save is logged; looking at the folder is not.
        """
        end = time.monotonic() + SAVE_AGAIN_SECONDS
        while time.monotonic() < end:
            waiting.check()
            time.sleep(LOOK_AGAIN_SECONDS)
            if self._obstacles.found() != problem:
                return

    def _get(self) -> Run:
        if self._run is None:
            job = self._job
            self._run = self._outputs.new_run(job.generation_request, job.kind, job.id, job.owner)
            # Recorded before the first image is saved, so that recovery after a kill finds it.
            self._store.run_started(job.id, self._run.id)
        return self._run

    def _saved(self, image_id: str) -> None:
        self.images.append(image_id)
        self._store.image_done(self._job.id, image_id)

    def close(self, state: str) -> None:
        """Record how the job ended."""
        if self._run is not None:
            self._run.close(state)
