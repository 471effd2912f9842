"""The schema of the queue's database, and how its file is opened."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from ..errors import SettingsError
from ..storage import sqlite
from ..storage.sqlite import DamagedDatabaseError

log = logging.getLogger(__name__)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # `number` is the order of submission, `place` the order of the queue; they part when jobs are moved.
        """CREATE TABLE jobs(
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            state TEXT NOT NULL,
            place INTEGER NOT NULL,
            request TEXT NOT NULL,
            owner TEXT,
            created REAL NOT NULL,
            started REAL,
            finished REAL,
            step INTEGER NOT NULL DEFAULT 0,
            total INTEGER NOT NULL DEFAULT 0,
            status TEXT NOT NULL DEFAULT '',
            run TEXT,
            images TEXT NOT NULL DEFAULT '[]',
            warnings TEXT NOT NULL DEFAULT '[]',
            error TEXT,
            cancel_requested INTEGER NOT NULL DEFAULT 0,
            seconds_per_step REAL
        )""",
        "CREATE INDEX jobs_by_place ON jobs(state, place, number)",
        "CREATE INDEX jobs_by_end ON jobs(finished, number) WHERE finished IS NOT NULL",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN retry_of TEXT",
        "CREATE TABLE switches(name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    ),
    # What a job made that is no picture, as JSON: {caption, style, captioner}.
    ("ALTER TABLE jobs ADD COLUMN result TEXT",),
    # `ended`: the order in which jobs ended, which the clock does not tell once it was set back.
    (
        "ALTER TABLE jobs ADD COLUMN ended INTEGER",
        "UPDATE jobs SET ended = number WHERE finished IS NOT NULL",
        "DROP INDEX jobs_by_end",
        "CREATE INDEX jobs_by_end ON jobs(ended, number) WHERE finished IS NOT NULL",
    ),
)
"""Step n brings a database from version n to n + 1. A step that was released is never edited."""


def open_database(path: Path) -> tuple[sqlite3.Connection, str | None]:
    """A connection for writing, at the newest schema; and what to tell when a damaged file was set aside.

    Raises `SettingsError` where there can be no database at all.
    """
    try:
        return _open(path), None
    except DamagedDatabaseError as damage:
        aside = sqlite.set_aside(path)
        problem = (
            f"The record of the queue was damaged ({damage}); it is kept as {aside.name} "
            "and the studio started with an empty queue. Pictures are not affected."
        )
        log.error("%s", problem)
    try:
        return _open(path), problem
    except DamagedDatabaseError as damage:
        raise SettingsError(f"The database {path} cannot be made ({damage}); check the disk.") from None


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the queue's file. Raises `sqlite3.DatabaseError`."""
    # A commit is on the disk before it is answered, so that a power cut loses no queued job.
    connection = sqlite.connect(path, synchronous="FULL")
    # A flipped bit in one text must not hide the other rows, as an error of decoding would.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    return connection


def _open(path: Path) -> sqlite3.Connection:
    connection = None
    try:
        connection = connect(path)
        sqlite.check_pages(connection)
        migrate(connection)
        sqlite.check_schema(connection, MIGRATIONS)
        return connection
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        # SQLITE_ERROR: readable, but a table or column is not what it should be.
        if sqlite.is_damage(error) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR:
            raise DamagedDatabaseError(str(error)) from None
        raise SettingsError(f"The database {path} cannot be used ({error}); check the folder.") from None
    except BaseException:
        if connection is not None:
            connection.close()
        raise


def migrate(connection: sqlite3.Connection, steps: sqlite.Steps = MIGRATIONS) -> None:
    """Bring the database to the newest version. Raises `SettingsError` where it is of a newer one."""
    if sqlite.version_of(connection) > len(steps):
        raise SettingsError(
            "The record of the queue was written by a newer version of the studio; "
            "update the studio, or start it with another output folder."
        )
    sqlite.migrate(connection, steps)
