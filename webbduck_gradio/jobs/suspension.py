"""Putting the running job aside, and letting such a job, or an interrupted one, go on."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from ..core.progress import Continuation
from ..errors import QueueFullError, RequestError
from .handlers import handler_of
from .job import ContinuesAt, Job
from .live import LiveProgress
from .progress import JobProgress
from .queries import row_of
from .rows import job_of

LAST_PLACE = "SELECT COUNT(*), COALESCE(MAX(place), 0) FROM jobs WHERE state = 'queued'"
FIRST_PLACE = "SELECT COALESCE(MIN(place), 1) - 1 FROM jobs WHERE state = 'queued'"
UNFINISHED = "SELECT id FROM jobs WHERE state IN ('queued', 'running', 'suspended', 'interrupted')"


class Suspension(LiveProgress):
    """The part of the job store that concerns jobs which are put aside."""

    def __init__(self, path: Path, max_queued: int):
        super().__init__(path)
        self.max_queued = max_queued

    def suspend(self, job_id: str) -> Job:
        """Request the running job to be put aside after its current step; the queue goes on.

        If its state cannot be saved then, it goes on running and has a warning that says why. Raises
        `NotFoundError`, and `RequestError` for a job that is not running or cannot go on later.
        """
        with self.database.writing() as db:
            job = job_of(row_of(db, job_id), None, None)
            reason = None
            if not handler_of(job.kind).can_be_suspended:
                reason = "only a job that generates pictures can go on later"
            elif job.state == "queued":
                reason = "it has not started; move it down, or pause the queue"
            elif job.state != "running":
                reason = f"it is already {job.state}"
            elif job.cancel_requested and not job.cancel_after_image:
                reason = "it is being cancelled"
            if reason:
                raise RequestError(f"Job {job_id} cannot be put aside: {reason}.")
            if live := self._live.get(job_id):
                live.suspend_problem = None
                live.suspend.set()
        self.database.notify(list_changed=True)
        return self.get(job_id)

    def continue_job(self, job_id: str) -> Job:
        """Put a suspended job, or an interrupted one with something finished, back at the top of the queue.

        Raises `NotFoundError`, `QueueFullError`, and `RequestError` for any other job.
        """
        self.database.check_in_place()
        with self.database.writing() as db:
            job = self._job(row_of(db, job_id))
            if not job.can_continue:
                raise RequestError(_cannot_continue(job))
            self.check_room(db)
            # How long it ran before a crash is not known.
            seconds = "earlier_seconds" if job.state == "suspended" else "NULL"
            db.execute(
                f"""UPDATE jobs SET state = 'queued', place = ({FIRST_PLACE}), continued = ?, started = NULL,
                finished = NULL, ended = NULL, error = NULL, status = 'Queued', cancel_requested = 0,
                earlier_seconds = {seconds} WHERE id = ?""",
                (time.time(), job_id),
            )
        return self.get(job_id)

    def check_room(self, db: sqlite3.Connection) -> int:
        """The last place of the queue. Raises `QueueFullError` if no further job may wait."""
        waiting, last = db.execute(LAST_PLACE).fetchone()
        if waiting >= self.max_queued:
            raise QueueFullError(
                f"The queue is full: {waiting} jobs are waiting, and the limit is {self.max_queued}; "
                "wait until one has finished or cancel one, then try again."
            )
        return int(last)

    # ---- called by the worker

    def suspending(self, job_id: str) -> bool:
        """Whether this running job is to be put aside. Cheap: called at every step."""
        live = self._live.get(job_id)
        return live is not None and live.suspend.is_set()

    def refuse_suspension(self, job_id: str, reason: str) -> None:
        """The running job goes on, with this warning, in memory only: the disk may be full."""
        if live := self._live.get(job_id):
            live.suspend_problem = reason
            live.suspend.clear()
            self.database.notify(list_changed=True)

    def continuation(self, job: Job) -> Continuation:
        """Where a claimed job starts."""
        at = self.where_to_go_on(job)
        if at is None:
            return Continuation()
        return Continuation(at.image, self.unfinished.path(job.id) if at.step else None)

    def progress_at_start(self, job: Job) -> JobProgress:
        """The progress of a job that is being claimed."""
        at = self.where_to_go_on(job) or ContinuesAt(0)
        return JobProgress(step=at.step, total=at.total or 0, image_index=at.image, pictures=at.pictures)

    def set_aside(self, job_id: str, images: Sequence[str] = ()) -> Job | None:
        """Record that the running job was put aside; its state is on the disk. Returns None, and changes
        nothing, if it was cancelled meanwhile or is not running.

        `images`: as in `JobStore.finish`.
        """
        with self.database.writing() as db:
            live, job = self._live.get(job_id), job_of(row_of(db, job_id), None, None)
            if live is None or live.cancel.is_set() or job.state != "running":
                return None
            now = time.time()
            ran = max(0.0, now - (job.started or now))
            kept = list(dict.fromkeys([*job.images, *images]))
            db.execute(
                """UPDATE jobs SET state = 'suspended', suspended = ?, status = 'Put aside', images = ?,
                earlier_seconds = earlier_seconds + ?, step = ?, total = ?, seconds_per_step = ?,
                cancel_requested = 0 WHERE id = ?""",
                (now, json.dumps(kept), ran, live.step, live.total, live.seconds_per_step(), job_id),
            )
        self._live.pop(job_id, None)
        return self.get(job_id)

    def sweep_unfinished(self) -> None:
        """Remove the files of jobs that cannot go on any more."""
        found = self.unfinished.ids()  # before the jobs are read: a file never comes before its job
        self.unfinished.remove_others(found, {row["id"] for row in self.database.read(UNFINISHED)})


def _cannot_continue(job: Job) -> str:
    if job.unreadable:
        return job.unreadable
    if job.state == "interrupted":
        return f"Job {job.id} cannot go on: nothing of it was finished or saved; retry it instead."
    return f"Job {job.id} is {job.state}; only a job that was put aside or interrupted can go on."
