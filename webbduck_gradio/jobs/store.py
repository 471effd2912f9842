"""The job store: every submitted job, in SQLite, safe against kill -9 and power cuts."""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import RequestError
from ..request import JobRequest
from .handlers import HANDLERS
from .job import AFTER_IMAGE, AT_ONCE, FINAL, RETRYABLE, Job, Kind, State, kept_text
from .progress import JobProgress
from .queries import QUEUED, WAITING, row_of
from .reorder import Where, moved
from .rows import STATES, job_of, read_texts, request_of
from .suspension import Suspension

log = logging.getLogger(__name__)

CLAIM = """UPDATE jobs SET state = 'running', started = ?, status = 'Starting' WHERE number =
    (SELECT number FROM jobs WHERE state = 'queued' ORDER BY place, number LIMIT 1) RETURNING *"""

ENDS = "finished = ?, ended = (SELECT COALESCE(MAX(ended), 0) + 1 FROM jobs WHERE finished IS NOT NULL)"
CANCEL = f"""UPDATE jobs SET state = 'cancelled', {ENDS}, cancel_requested = {AT_ONCE}, status = ?
    WHERE id = ?"""
RETAIN = """DELETE FROM jobs WHERE number IN (SELECT number FROM jobs WHERE finished IS NOT NULL
    ORDER BY ended DESC, number DESC LIMIT -1 OFFSET ?)"""


class JobStore(Suspension):
    """All jobs, and the operations on them; one per process and output folder.

    Thread-safe. All methods that write raise `StorageError` if the disk refuses it.
    """

    def __init__(self, path: Path, max_queued: int = 32, max_history: int = 1000):
        """Open or create the database. Raises `SettingsError` if another studio uses it or it cannot be
        created.

        `max_history`: number of ended jobs to keep; removing a job does not remove its images.
        """
        super().__init__(path, max_queued)
        self.max_history = max_history
        self.claims = 0
        """Number of jobs claimed so far; increases as long as the queue is not stalled."""

    # ---- submitting

    def submit(
        self,
        request: JobRequest,
        kind: Kind = "generate",
        owner: str | None = None,
        warnings: Sequence[str] = (),
    ) -> Job:
        """Append a job to the queue; it is on disk when this returns.

        Raises `QueueFullError` if `max_queued` jobs are waiting, `RequestError` for an unknown kind.
        """
        if kind not in HANDLERS or not isinstance(request, HANDLERS[kind].request_type):
            raise RequestError(f"The studio does not support jobs of the kind {str(kind)[:40]!r}.")
        self.database.check_in_place()
        with self.database.writing() as db:
            job_id = self._insert(db, kind, request.model_dump_json(), owner, warnings)
        return self.get(job_id)

    def retry(self, job_id: str, owner: str | None = None, warnings: Sequence[str] = ()) -> Job:
        """Append a new job with the same request and the same seeds.

        Raises `NotFoundError`, `QueueFullError`, and `RequestError` for a job that has not failed, or whose
        settings this version of the studio cannot read.
        """
        self.database.check_in_place()
        with self.database.writing() as db:
            row = row_of(db, job_id)
            if row["state"] not in RETRYABLE:
                raise RequestError(
                    f"Job {job_id} is {row['state']}; "
                    "only a failed, cancelled or interrupted job can be retried."
                )
            _, unreadable = request_of(row)
            if unreadable:
                raise RequestError(unreadable)
            new_id = self._insert(db, row["kind"], row["request"], owner, warnings, retry_of=job_id)
        return self.get(new_id)

    def _insert(
        self,
        db: sqlite3.Connection,
        kind: str,
        request: str,
        owner: str | None,
        warnings: Sequence[str],
        retry_of: str | None = None,
    ) -> str:
        last = self.check_room(db)
        job_id = secrets.token_hex(8)
        db.execute(
            """INSERT INTO jobs(id, kind, state, place, request, owner, created, status, warnings, retry_of)
            VALUES (?, ?, 'queued', ?, ?, ?, ?, 'Queued', ?, ?)""",
            (
                job_id,
                kind,
                last + 1,
                request,
                owner,
                time.time(),
                json.dumps(list(dict.fromkeys(warnings))),
                retry_of,
            ),
        )
        return job_id

    # ---- control

    def cancel(self, job_id: str, after_image: bool = False) -> Job:
        """Cancel a queued or suspended job, or request the running one to stop; its finished images are kept.

        A running job stops at its next step, or with `after_image` when its current image is finished; a
        second call without `after_image` stops it at once. Raises `NotFoundError`, `RequestError`.
        """
        with self.database.writing() as db:
            row = row_of(db, job_id)
            state = row["state"]
            if state in ("queued", "suspended"):
                self._cancel_now(db, [row])
            elif state == "running":
                how = AFTER_IMAGE if after_image else AT_ONCE
                db.execute(
                    "UPDATE jobs SET cancel_requested = ? WHERE id = ? AND cancel_requested NOT IN (?, ?)",
                    (how, job_id, how, AT_ONCE),
                )
                if live := self._live.get(job_id):
                    (live.cancel_after_image if after_image else live.cancel).set()
            else:
                raise RequestError(f"Job {job_id} cannot be cancelled: it is already {state}.")
        if state != "running":
            self.unfinished.remove(job_id)
        return self.get(job_id)

    @staticmethod
    def _cancel_now(db: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> None:
        """Cancel jobs that are not running."""
        for row in rows:
            job, status = job_of(row, None, None), "Cancelled before it started"
            if job.suspended or job.continued:
                status = f"Cancelled; {kept_text(len(job.images), job.images_asked)}"
            db.execute(CANCEL, (time.time(), status, row["id"]))

    def move(self, job_ids: str | Sequence[str], to: Where) -> list[Job]:
        """Move waiting jobs together: "up", "down", "top", "bottom", or to a position (1 = next).

        Returns the queue in its new order. Raises `NotFoundError`, and `RequestError` for a job that is not
        waiting or an invalid position; then nothing is moved.
        """
        chosen = [job_ids] if isinstance(job_ids, str) else list(job_ids)
        with self.database.writing() as db:
            for job_id in chosen:
                state = row_of(db, job_id)["state"]
                if state != "queued":
                    raise RequestError(f"Job {job_id} cannot be moved: it is already {state}.")
            before = [row["id"] for row in db.execute(QUEUED)]
            after = moved(before, chosen, to)
            if after != before:
                db.executemany("UPDATE jobs SET place = ? WHERE id = ?", list(enumerate(after, start=1)))
        return self.queued()

    def pause(self, reason: str = "") -> None:
        """Start no further job until `resume`; the running job continues. Survives a restart.

        `reason`: a message if the studio itself pauses the queue and will resume it. The pause takes effect
        in this process even if it cannot be written to disk.
        """
        self._switch(reason if self._paused is None else self._paused)

    def resume(self) -> None:
        """Start jobs again."""
        self._switch(None)

    def _switch(self, paused: str | None) -> None:
        self._paused = paused
        try:
            with self.database.writing() as db:
                if paused is None:
                    db.execute("DELETE FROM switches WHERE name = 'paused'")
                else:
                    db.execute("INSERT OR REPLACE INTO switches VALUES ('paused', ?)", (paused,))
        finally:
            self.database.notify(list_changed=True)

    def clear_queued(self) -> int:
        """Cancel all waiting jobs; returns their number. They can be retried from the history."""
        with self.database.writing() as db:
            rows = db.execute(QUEUED).fetchall()
            self._cancel_now(db, rows)
        self.unfinished.remove(*(row["id"] for row in rows))
        return len(rows)

    def clear_finished(self) -> int:
        """Remove all jobs that have ended; returns their number. Their images are kept."""
        with self.database.writing() as db:
            removed = db.execute("DELETE FROM jobs WHERE finished IS NOT NULL").rowcount
        self.sweep_unfinished()
        return removed

    def remove(self, job_id: str) -> None:
        """Remove a job that has ended; its images are kept. Raises `NotFoundError`, `RequestError`."""
        with self.database.writing() as db:
            state = row_of(db, job_id)["state"]
            if state not in FINAL:
                raise RequestError(f"Job {job_id} is {state}; cancel it before it is removed.")
            db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
        self.unfinished.remove(job_id)

    @staticmethod
    def apply_to_many(
        operation: Callable[[str], Job | None], job_ids: Sequence[str]
    ) -> tuple[list[Job], list[str]]:
        """Apply an operation on one job to each of these. Returns the jobs, and the errors of the others."""
        jobs: list[Job] = []
        refusals: list[str] = []
        for job_id in job_ids:
            try:
                job = operation(job_id)
            except RequestError as error:
                refusals.append(str(error))
            else:
                if job is not None:
                    jobs.append(job)
        return jobs, refusals

    # ---- running: called by the dispatcher and the worker

    def wait_for_work(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until a job can be claimed. Returns whether one can."""
        return self.database.wait_until(
            lambda: not self.paused and bool(self.database.read(WAITING)), timeout
        )

    def wake(self) -> None:
        """Make a waiting `wait_for_work` return False, so that the dispatcher can stop."""
        self.database.wake()

    def claim(self) -> Job | None:
        """Mark the next queued job as running, atomically, and return it. None if no job is waiting or the
        queue is paused.

        A job whose stored request does not validate any more fails here, so that it does not block the queue.
        """
        while True:
            with self.database.writing() as db:
                rows = [] if self.paused else db.execute(CLAIM, (time.time(),)).fetchall()
                if not rows:
                    return None
                row = rows[0]
                _, unreadable = request_of(row)
                if unreadable:
                    db.execute(
                        f"""UPDATE jobs SET state = 'failed', {ENDS}, status = 'Failed', error = ?
                        WHERE id = ?""",
                        (time.time(), unreadable, row["id"]),
                    )
                    log.warning("Job %s failed: %s", row["id"], unreadable)
                else:
                    self._live[row["id"]] = self.progress_at_start(job_of(row, None, None))
            self.claims += 1
            if not unreadable:
                return self._job(row)

    def cancelled(self, job_id: str) -> bool:
        """Whether this running job is to stop at once. Cheap: called at every step."""
        live = self._live.get(job_id)
        return live is not None and live.cancel.is_set()

    def cancelled_after_image(self, job_id: str) -> bool:
        """Whether this running job is to stop at once or after the current image."""
        live = self._live.get(job_id)
        return live is not None and (live.cancel.is_set() or live.cancel_after_image.is_set())

    def run_started(self, job_id: str, run: str) -> None:
        """Record the run that the job's images are saved in."""
        with self.database.writing() as db:
            db.execute("UPDATE jobs SET run = ? WHERE id = ?", (run, job_id))

    def image_done(self, job_id: str, image_id: str) -> None:
        """Record an image on disk, also if the job was stopped meanwhile."""
        self._append(job_id, "images", image_id)

    def set_result(self, job_id: str, result: Mapping[str, Any]) -> None:
        """Record the job's result other than images (JSON values); it is on disk when this returns."""
        with self.database.writing() as db:
            db.execute("UPDATE jobs SET result = ? WHERE id = ?", (_storable(json.dumps(result)), job_id))

    def add_warnings(self, job_id: str, text: str) -> None:
        """Add a warning to the job, unless it has the same one already."""
        self._append(job_id, "warnings", text)

    def finish(
        self, job_id: str, state: State, error: str | None = None, images: Sequence[str] = ()
    ) -> Job | None:
        """Put the running job in a final state and return it, even if `max_history` removes it at once.

        `images`: ids of finished images that may not have been recorded. Returns None, and changes nothing,
        if the job was not running.
        """
        if state not in FINAL:
            raise ValueError(f"{state} is not a final state")
        live = self._live.get(job_id) or JobProgress()
        with self.database.writing() as db:
            rows = db.execute("SELECT * FROM jobs WHERE id = ? AND state = 'running'", (job_id,)).fetchall()
            status, job = state.capitalize(), job_of(rows[0], None, None) if rows else None
            kept = list(dict.fromkeys([*(job.images if job else ()), *images]))
            if job and state != "completed":
                status += f"; {kept_text(len(kept), job.images_asked)}"
            ended = db.execute(
                f"""UPDATE jobs SET state = ?, {ENDS}, error = ?, status = ?, images = ?, step = ?,
                total = ?, seconds_per_step = ? WHERE id = ? AND state = 'running' RETURNING *""",
                (
                    state,
                    time.time(),
                    _storable(error),
                    status,
                    json.dumps(kept),
                    live.step,
                    live.total,
                    live.seconds_per_step(),
                    job_id,
                ),
            ).fetchall()
            db.execute(RETAIN, (self.max_history,))
        self._live.pop(job_id, None)
        if ended and state != "interrupted":
            self.unfinished.remove(job_id)
        return job_of(ended[0], None, None) if ended else None

    def recover(
        self, reason: str = "The studio stopped while this job ran; it was not restarted automatically."
    ) -> int:
        """Mark running jobs as interrupted; returns their number. The dispatcher must not be running."""
        with self.database.writing() as db:
            db.execute(
                f"UPDATE jobs SET state = 'failed', {ENDS}, status = 'Failed', error = ?"
                f" WHERE state NOT IN ({', '.join('?' * len(STATES))})",
                (time.time(), "The record of this job is damaged; its state could not be read.", *STATES),
            )
            rows = db.execute("SELECT * FROM jobs WHERE state = 'running'").fetchall()
            for row in rows:
                job = job_of(row, None, None)
                kept = f"Interrupted; {kept_text(len(job.images), job.images_asked)}"
                db.execute(
                    f"UPDATE jobs SET state = 'interrupted', {ENDS}, error = ?, status = ? WHERE id = ?",
                    (time.time(), reason, kept, row["id"]),
                )
                self._live.pop(row["id"], None)
        return len(rows)

    # ---- helpers

    def _append(self, job_id: str, column: str, value: str) -> None:
        with self.database.writing() as db:
            row = db.execute(f"SELECT {column} FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if row is None:
                return
            values, _ = read_texts(row[0])
            if value not in values:
                db.execute(
                    f"UPDATE jobs SET {column} = ? WHERE id = ?", (json.dumps([*values, value]), job_id)
                )


def _storable(text: str | None) -> str | None:
    """The text with lone surrogates escaped, which file names in messages may contain and SQLite rejects."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()
