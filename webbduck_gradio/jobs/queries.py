"""The read side of the job store. Cheap enough for every poll of a page."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import replace
from pathlib import Path

from ..errors import NotFoundError
from ..request import INPUT_IMAGE_ID
from .database import Database
from .handlers import handler_of
from .job import ContinuesAt, Job
from .progress import JobProgress
from .rows import STATES, job_of
from .unfinished import UnfinishedFiles

_POSITION = """(SELECT COUNT(*) FROM jobs AS q WHERE q.state = 'queued'
    AND (q.place, q.number) <= (jobs.place, jobs.number)) AS position"""
ONE = f"SELECT *, {_POSITION} FROM jobs WHERE id = ?"
QUEUED = "SELECT * FROM jobs WHERE state = 'queued' ORDER BY place, number"
SUSPENDED = "SELECT * FROM jobs WHERE state = 'suspended' ORDER BY place, number"
RUNNING = "SELECT * FROM jobs WHERE state = 'running' ORDER BY place, number"
RECENT = "SELECT * FROM jobs WHERE finished IS NOT NULL ORDER BY ended DESC, number DESC LIMIT ? OFFSET ?"
COUNTS = "SELECT state, COUNT(*) AS jobs FROM jobs GROUP BY state"
INPUT = re.compile(INPUT_IMAGE_ID)
WAITING = "SELECT 1 FROM jobs WHERE state = 'queued' LIMIT 1"
"""The queries of every poll; each is answered from an index."""


class JobQueries:
    """Queries of the jobs' current state."""

    def __init__(self, path: Path):
        self.database = Database(path)
        self.unfinished = UnfinishedFiles(path.parent / "unfinished", path.parent / "tmp")
        self._live: dict[str, JobProgress] = {}
        rows = self.database.read("SELECT value FROM switches WHERE name = 'paused'")
        self._paused: str | None = str(rows[0]["value"]) if rows else None

    def close(self) -> None:
        """Close the database and release the folder lock."""
        self.database.close()

    @property
    def problem(self) -> str | None:
        """A message for the user if a damaged database was set aside."""
        return self.database.problem

    @property
    def version(self) -> int:
        """Increases with every change, each step's progress included."""
        return self.database.version

    @property
    def list_version(self) -> int:
        """Increases when jobs are added or removed or their state, images or warnings change."""
        return self.database.list_version

    def get(self, job_id: str) -> Job:
        """Raises `NotFoundError` if there is no such job."""
        rows = self.database.read(ONE, job_id) if is_id(job_id) else []
        if not rows:
            raise no_such(job_id)
        return self._job(rows[0], rows[0]["position"])

    def queued(self) -> list[Job]:
        """The waiting jobs, in the order in which they will run."""
        return [self._job(row, place) for place, row in enumerate(self.database.read(QUEUED), start=1)]

    def running(self) -> Job | None:
        rows = self.database.read(RUNNING)
        return self._job(rows[0]) if rows else None

    def suspended(self) -> list[Job]:
        """The jobs that were put aside, in the order of their places in the queue."""
        return [self._job(row) for row in self.database.read(SUSPENDED)]

    def recent(self, limit: int = 20, start: int = 0) -> list[Job]:
        """The jobs that ended last, newest first, without the newest `start`."""
        return [self._job(row) for row in self.database.read(RECENT, limit, start)]

    def input_references(self) -> set[str]:
        """Ids of the input images of all jobs in the store."""
        rows = self.database.read("SELECT request FROM jobs")
        return {name for row in rows for name in INPUT.findall(str(row["request"]))}

    def counts(self) -> dict[str, int]:
        """Number of jobs by state; every state is included."""
        found = {row["state"]: row["jobs"] for row in self.database.read(COUNTS)}
        return {state: found.get(state, 0) for state in STATES}

    @property
    def paused(self) -> bool:
        """Whether no further job is started; survives a restart."""
        return self._paused is not None

    @property
    def pause_reason(self) -> str | None:
        """Why the studio paused the queue; None if the user did, or if it is not paused."""
        return self._paused or None

    def _job(self, row: sqlite3.Row, position: int | None = None) -> Job:
        job = job_of(row, position, self._live.get(row["id"]))
        rests = job.state in ("suspended", "interrupted") or (job.state == "queued" and job.continued)
        return replace(job, continues_at=self.where_to_go_on(job)) if rests else job

    def where_to_go_on(self, job: Job) -> ContinuesAt | None:
        """Where a job that is not running goes on; None if it can only be run from the beginning, as a new
        job."""
        if not handler_of(job.kind).can_be_suspended or job.unreadable:
            return None
        at, finished = self.unfinished.position(job.id), job.finished_images
        # A state of an image that was finished since is of no use.
        if at is not None and at.image == finished:
            return at
        was_put_aside = bool(job.suspended or job.continued) and job.state != "interrupted"
        return ContinuesAt(finished) if was_put_aside or 0 < finished < job.images_asked else None


def is_id(job_id: object) -> bool:
    """Whether this has the form of a job id."""
    return isinstance(job_id, str) and len(job_id) == 16 and job_id.isascii()


def no_such(job_id: object) -> NotFoundError:
    return NotFoundError(f"There is no job {str(job_id)[:40]!r}; it may have been cleared from the history.")


def row_of(db: sqlite3.Connection, job_id: str) -> sqlite3.Row:
    """The job's row. Raises `NotFoundError`."""
    rows = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchall() if is_id(job_id) else []
    if not rows:
        raise no_such(job_id)
    return rows[0]
