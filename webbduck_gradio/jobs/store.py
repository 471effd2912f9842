"""The queue of record: every job that was asked for, in SQLite, safe over kill -9 and power cuts."""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import QueueFull, RequestError, SettingsError, StorageError, UnknownName
from ..gallery.files import FolderLock
from ..request import GenerationRequest
from . import schema
from .job import FINAL, REQUESTS, Job, Kind, State, job_of, read_request
from .live import Live

log = logging.getLogger(__name__)

_POSITION = """(SELECT COUNT(*) FROM jobs AS q WHERE q.state = 'queued'
    AND (q.place, q.number) <= (jobs.place, jobs.number)) AS position"""
ONE = f"SELECT *, {_POSITION} FROM jobs WHERE id = ?"
QUEUED = "SELECT * FROM jobs WHERE state = 'queued' ORDER BY place, number"
RUNNING = "SELECT * FROM jobs WHERE state = 'running' ORDER BY place, number"
RECENT = "SELECT * FROM jobs WHERE finished IS NOT NULL ORDER BY finished DESC, number DESC LIMIT ?"
COUNTS = "SELECT state, COUNT(*) FROM jobs GROUP BY state"
WAITING = "SELECT 1 FROM jobs WHERE state = 'queued' LIMIT 1"
"""The queries of every tick; each is answered from an index."""

CLAIM = """UPDATE jobs SET state = 'running', started = ?, status = 'Starting' WHERE number =
    (SELECT number FROM jobs WHERE state = 'queued' ORDER BY place, number LIMIT 1) RETURNING *"""


class Store:
    """One per process and output folder; all methods may be called from any thread.

    Writing goes through one connection under a lock; reading has a connection of its own, so that a
    reader does not wait for a writer's fsync. Raises `StorageError` where the disk refuses a write.
    """

    def __init__(self, path: Path, max_queued: int = 32):
        """Open or make the database. `SettingsError`: another studio has it, or there can be none."""
        self.path = path
        self.max_queued = max_queued
        self.problem: str | None = None
        """What to tell the user when a damaged database was set aside."""
        # Starts at the clock's milliseconds, so that a page from before a restart never meets its old number.
        self._version = self._list_version = time.time_ns() // 1_000_000
        self._live: dict[str, Live] = {}
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._news = threading.Condition()
        self._woken = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Two studios on one folder would each take the other's running job for an interrupted one.
            self._owned = FolderLock(path.with_name(path.name + ".lock"))
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise SettingsError(
                f"The folder {path.parent} cannot be written ({reason}); choose another."
            ) from None
        try:
            self._writer, self.problem = schema.open_database(path)
            self._reader = schema.connect(path)
        except BaseException:
            self._owned.release()
            raise
        self._reader.execute("PRAGMA query_only = 1")

    def close(self) -> None:
        """Close the database and give the folder free for another studio."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()
            self._owned.release()

    # ---- what the pages ask

    @property
    def version(self) -> int:
        """Rises with every change, each step's progress included."""
        return self._version

    @property
    def list_version(self) -> int:
        """Rises when a job comes, goes or changes its state, images or warnings; not with progress."""
        return self._list_version

    def get(self, job_id: str) -> Job:
        """Raises `UnknownName` where there is no such job."""
        rows = self._read(ONE, job_id) if _is_id(job_id) else []
        if not rows:
            raise _no_such(job_id)
        return self._job(rows[0], rows[0]["position"])

    def queued(self) -> list[Job]:
        """In the order in which they will run."""
        return [self._job(row, place) for place, row in enumerate(self._read(QUEUED), start=1)]

    def running(self) -> Job | None:
        rows = self._read(RUNNING)
        return self._job(rows[0]) if rows else None

    def recent(self, limit: int = 20) -> list[Job]:
        """The jobs that ended last, newest first."""
        return [self._job(row) for row in self._read(RECENT, limit)]

    def counts(self) -> dict[str, int]:
        """Jobs by state; every state is there."""
        return {"queued": 0, "running": 0, **dict.fromkeys(FINAL, 0), **{s: n for s, n in self._read(COUNTS)}}

    # ---- asking and cancelling

    def submit(
        self,
        request: GenerationRequest,
        kind: Kind = "generate",
        owner: str | None = None,
        warnings: Sequence[str] = (),
    ) -> Job:
        """Put a job at the end of the queue; it is on the disk when this returns.

        Raises `QueueFull` when `max_queued` jobs wait, `RequestError` for a kind that cannot be run.
        """
        if kind not in REQUESTS:
            raise RequestError(f"The studio cannot run jobs of the kind {str(kind)[:40]!r}.")
        job_id = secrets.token_hex(8)
        with self._writing() as db:
            waiting, last = db.execute(
                "SELECT COUNT(*), COALESCE(MAX(place), 0) FROM jobs WHERE state = 'queued'"
            ).fetchone()
            if waiting >= self.max_queued:
                raise QueueFull(
                    f"The queue is full: {waiting} jobs are waiting, and at most {self.max_queued} may; "
                    "wait until one has finished or cancel one, then try again."
                )
            db.execute(
                """INSERT INTO jobs(id, kind, state, place, request, owner, created, status, warnings)
                VALUES (?, ?, 'queued', ?, ?, ?, ?, 'Queued', ?)""",
                (
                    job_id,
                    kind,
                    last + 1,
                    request.model_dump_json(),
                    owner,
                    time.time(),
                    json.dumps(list(dict.fromkeys(warnings))),
                ),
            )
        return self.get(job_id)

    def cancel(self, job_id: str) -> Job:
        """A queued job is cancelled at once; the running one is asked to stop at its next step.

        Raises `UnknownName`, and `RequestError` when the job has ended: nothing else is ever stopped.
        """
        with self._writing() as db:
            state = self._state(db, job_id)
            if state == "queued":
                db.execute(
                    """UPDATE jobs SET state = 'cancelled', finished = ?, cancel_requested = 1,
                    status = 'Cancelled before it started' WHERE id = ?""",
                    (time.time(), job_id),
                )
            elif state == "running":
                db.execute("UPDATE jobs SET cancel_requested = 1 WHERE id = ?", (job_id,))
                if live := self._live.get(job_id):
                    live.cancel.set()
            else:
                raise RequestError(f"Job {job_id} cannot be cancelled: it is already {state}.")
        return self.get(job_id)

    # ---- running: called by the lane and the worker

    def wait_for_work(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until a job can be claimed; whether there is one."""
        with self._news:
            found = self._news.wait_for(lambda: self._woken or bool(self._read(WAITING)), timeout)
            woken, self._woken = self._woken, False
            return bool(found) and not woken

    def wake(self) -> None:
        """End the waiting of `wait_for_work` with False (the pump is being stopped)."""
        with self._news:
            self._woken = True
            self._news.notify_all()

    def claim(self) -> Job | None:
        """Take the next queued job, atomically: no two callers get the same. None when there is none.

        A job whose stored request does not validate any more fails here and does not hold up the others.
        """
        while True:
            with self._writing() as db:
                rows = db.execute(CLAIM, (time.time(),)).fetchall()
                if not rows:
                    return None
                row = rows[0]
                _, unreadable = read_request(row["kind"], row["request"])
                if unreadable:
                    db.execute(
                        """UPDATE jobs SET state = 'failed', finished = ?, status = 'Failed', error = ?
                        WHERE id = ?""",
                        (time.time(), unreadable, row["id"]),
                    )
                    log.warning("Job %s failed: %s", row["id"], unreadable)
                else:
                    self._live[row["id"]] = Live()
            if not unreadable:
                return self._job(row)

    def cancelled(self, job_id: str) -> bool:
        """Whether the user wants this running job to stop. Cheap: asked at every step."""
        live = self._live.get(job_id)
        return live is not None and live.cancel.is_set()

    def progress(self, job_id: str, image_index: int, step: int, total: int) -> None:
        """After a denoising step; kept in memory only."""
        if live := self._live.get(job_id):
            live.stepped(image_index, step, total)
            live.status = ""
            self._tell()

    def status(self, job_id: str, text: str) -> None:
        """What the running job does now; kept in memory only."""
        if live := self._live.get(job_id):
            live.status = text
            self._tell()

    def new_preview(self, job_id: str) -> None:
        """The preview's file was replaced."""
        if live := self._live.get(job_id):
            live.preview += 1
            self._tell()

    def run_started(self, job_id: str, run: str) -> None:
        """The job's pictures will go to this run of the outputs."""
        with self._writing() as db:
            db.execute("UPDATE jobs SET run = ? WHERE id = ?", (run, job_id))

    def image_done(self, job_id: str, image_id: str) -> None:
        """A picture is on the disk; recorded also when the job was stopped meanwhile."""
        self._append(job_id, "images", image_id)

    def warn(self, job_id: str, text: str) -> None:
        """Add a warning to the job; the same one only once."""
        self._append(job_id, "warnings", text)

    def finish(self, job_id: str, state: State, error: str | None = None, status: str | None = None) -> bool:
        """End the running job. False (and nothing changed) when it was not running any more."""
        if state not in FINAL:
            raise ValueError(f"{state} is not a final state")
        live = self._live.get(job_id) or Live()
        with self._writing() as db:
            ended = db.execute(
                """UPDATE jobs SET state = ?, finished = ?, error = ?, status = ?, step = ?, total = ?,
                seconds_per_step = ? WHERE id = ? AND state = 'running'""",
                (
                    state,
                    time.time(),
                    _storable(error),
                    _storable(status or state.capitalize()),
                    live.step,
                    live.total,
                    live.seconds_per_step(),
                    job_id,
                ),
            ).rowcount
        self._live.pop(job_id, None)
        return bool(ended)

    def recover(
        self, reason: str = "The studio stopped while this job ran; it was not started again by itself."
    ) -> int:
        """Mark what was running as interrupted; how many. At start, before the pump runs."""
        with self._writing() as db:
            rows = db.execute("SELECT id, request, kind, images FROM jobs WHERE state = 'running'").fetchall()
            for row in rows:
                request, _ = read_request(row["kind"], row["request"])
                kept = f"Interrupted; {kept_text(len(json.loads(row['images'])), request.num_images)}"
                db.execute(
                    "UPDATE jobs SET state = 'interrupted', finished = ?, error = ?, status = ? WHERE id = ?",
                    (time.time(), reason, kept, row["id"]),
                )
                self._live.pop(row["id"], None)
        return len(rows)

    # ---- inside

    def _job(self, row: sqlite3.Row, position: int | None = None) -> Job:
        return job_of(row, position, self._live.get(row["id"]))

    def _read(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._read_lock:
            try:
                return self._reader.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StorageError(
                    f"The queue's database cannot be read ({error}); check the disk."
                ) from None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk when the block has ended, or has not happened."""
        with self._write_lock:
            db = self._writer
            before = db.total_changes
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except sqlite3.Error as error:
                self._undo(db)
                raise StorageError(
                    f"The queue could not be written ({error}); free some space or check the disk."
                ) from None
            except BaseException:
                self._undo(db)
                raise
            changed = db.total_changes != before
        if changed:
            self._tell(of_the_list=True)

    @staticmethod
    def _undo(db: sqlite3.Connection) -> None:
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("A change of the queue could not be rolled back")

    def _tell(self, of_the_list: bool = False) -> None:
        with self._news:
            self._version += 1
            if of_the_list:
                self._list_version += 1
                self._news.notify_all()

    @staticmethod
    def _state(db: sqlite3.Connection, job_id: str) -> State:
        known = _is_id(job_id)
        row = db.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone() if known else None
        if row is None:
            raise _no_such(job_id)
        return row["state"]

    def _append(self, job_id: str, column: str, value: str) -> None:
        with self._writing() as db:
            row = db.execute(f"SELECT {column} FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if row is None:
                return
            values = json.loads(row[0])
            if value not in values:
                db.execute(
                    f"UPDATE jobs SET {column} = ? WHERE id = ?", (json.dumps([*values, value]), job_id)
                )


def _is_id(job_id: object) -> bool:
    return isinstance(job_id, str) and len(job_id) == 16 and job_id.isascii()


def _no_such(job_id: object) -> UnknownName:
    return UnknownName(f"There is no job {str(job_id)[:40]!r}; it may have been cleared from the history.")


def _storable(text: str | None) -> str | None:
    """SQLite takes no broken characters, which a file's name in an error's text may hold."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def kept_text(done: int, asked: int) -> str:
    """'2 of 4 images kept'"""
    if not done:
        return "no image was finished"
    return f"{done} of {asked} image{'s' if asked != 1 else ''} kept"
