"""What the running job reports while it runs: kept in memory, since it changes many times a second."""

from __future__ import annotations

from .queries import JobQueries


class LiveProgress(JobQueries):
    """The part of the job store that takes the running job's reports."""

    def progress(self, job_id: str, image_index: int, step: int, total: int) -> None:
        """Record a denoising step, in memory only."""
        if live := self._live.get(job_id):
            live.stepped(image_index, step, total)
            live.status = ""
            self.database.notify()

    def worked(self, job_id: str, pictures: float, name: str) -> None:
        """Record the share of the work, in memory only; a step or a status follows."""
        if live := self._live.get(job_id):
            live.worked(pictures, name)

    def status(self, job_id: str, text: str) -> None:
        """Record the running job's current activity, in memory only."""
        if live := self._live.get(job_id):
            live.status = text
            self.database.notify()

    def new_preview(self, job_id: str) -> None:
        """Record that the preview file was replaced, in memory only."""
        if live := self._live.get(job_id):
            live.preview += 1
            self.database.notify()
