"""Preview files of the running job: one JPEG per job, removed when it ends."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

PREVIEW_SIDE = 384
"""Longest side of a preview, in pixels."""
PREVIEW_SECONDS = 0.25
"""Minimum time between two previews while a page is open."""
UNWATCHED_PREVIEW_SECONDS = 2.0
"""The same while no page is open, so that a page opened later shows a recent preview."""
WATCHED_SECONDS = 5.0
"""How long a page counts as open after its last call. Open pages call twice a second."""


class PreviewFiles:
    """The folder of preview files. Thread-safe."""

    def __init__(self, settings: Settings):
        """Removes previews that a killed studio left behind."""
        self._folder = settings.previews
        self._watched_at = float("-inf")
        self._failed: str | None = None
        """Job whose preview could not be written; the log names each once."""
        for leftover in self._folder.glob("*.jpg*"):
            with contextlib.suppress(OSError):
                leftover.unlink()

    def path(self, job_id: str) -> Path:
        """File of a running job's preview (JPEG)."""
        return self._folder / f"{job_id}.jpg"

    def _unfinished(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.jpg.part"

    def write(self, job_id: str, image: Image) -> bool:
        """Replace the job's preview. False if that failed, which must not fail the job."""
        small = image.convert("RGB")
        small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
        part = self._unfinished(job_id)
        try:
            # Renamed, so that no page reads half a file; not synced, since previews do not outlive their job.
            with open(part, "wb") as file:
                small.save(file, "JPEG", quality=80)
            os.replace(part, self.path(job_id))
        except OSError as error:
            if self._failed != job_id:
                log.warning("The previews of job %s could not be written: %s", job_id, error)
            self._failed = job_id
            return False
        return True

    def remove(self, job_id: str) -> None:
        """Remove the preview of a job that ended."""
        for path in (self.path(job_id), self._unfinished(job_id)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def mark_watched(self) -> None:
        """A page or client polled: render frequent previews for the next `WATCHED_SECONDS`."""
        self._watched_at = time.monotonic()

    @property
    def seconds_between(self) -> float:
        """Current minimum time between two previews."""
        is_watched = time.monotonic() - self._watched_at < WATCHED_SECONDS
        return PREVIEW_SECONDS if is_watched else UNWATCHED_PREVIEW_SECONDS
