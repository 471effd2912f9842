"""The schema of the job database, and opening its file."""

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
        # `number` is the order of submission, `place` the order in the queue, which moving jobs changes.
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
    # A job's result other than images, as JSON: {caption, style, captioner}.
    ("ALTER TABLE jobs ADD COLUMN result TEXT",),
    # `ended`: the order in which jobs ended; `finished` is not reliable if the clock was set back.
    (
        "ALTER TABLE jobs ADD COLUMN ended INTEGER",
        "UPDATE jobs SET ended = number WHERE finished IS NOT NULL",
        "DROP INDEX jobs_by_end",
        "CREATE INDEX jobs_by_end ON jobs(ended, number) WHERE finished IS NOT NULL",
    ),
    # When a job was put aside and when it was queued to go on; seconds that it ran before (NULL = unknown).
    (
        "ALTER TABLE jobs ADD COLUMN suspended REAL",
        "ALTER TABLE jobs ADD COLUMN continued REAL",
        "ALTER TABLE jobs ADD COLUMN earlier_seconds REAL DEFAULT 0",
    ),
)
"""Step n migrates a database from version n to n + 1. Released steps are never edited."""


def open_database(path: Path) -> tuple[sqlite3.Connection, str | None]:
    """A connection for writing, migrated to the newest schema, and a message for the user if a damaged file
    was set aside.

    Raises `SettingsError` if no database can be opened or created.
    """
    try:
        return _open(path), None
    except DamagedDatabaseError as damage:
        aside = sqlite.set_aside(path)
        problem = (
            f"The queue's database was damaged ({damage}); it was renamed to {aside.name}, and the studio "
            "started with an empty queue. Pictures are not affected."
        )
        log.error("%s", problem)
    try:
        return _open(path), problem
    except DamagedDatabaseError as damage:
        raise SettingsError(f"The database {path} cannot be created ({damage}); check the disk.") from None


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the database file. Raises `sqlite3.DatabaseError`."""
    # FULL: a commit is on disk before the client is answered, so that a power cut loses no queued job.
    connection = sqlite.connect(path, synchronous="FULL")
    # A decoding error in one damaged text would make all rows of the query unreadable.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    return connection


def _open(path: Path) -> sqlite3.Connection:
    connection = None
    try:
        is_new = not path.exists()
        if not is_new and not path.stat().st_size:  # SQLite would take it for a new one
            raise DamagedDatabaseError("it is empty")
        connection = connect(path)
        sqlite.check_pages(connection)
        if not is_new and sqlite.version_of(connection) == 0:
            raise DamagedDatabaseError("it holds no queue")
        migrate(connection)
        sqlite.check_schema(connection, MIGRATIONS)
        return connection
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        # SQLITE_ERROR: readable, but a table or column is missing or has the wrong type.
        if sqlite.is_damage(error) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR:
            raise DamagedDatabaseError(str(error)) from None
        raise SettingsError(f"The database {path} cannot be used ({error}); check the folder.") from None
    except BaseException:
        if connection is not None:
            connection.close()
        raise


def migrate(connection: sqlite3.Connection, steps: sqlite.Steps = MIGRATIONS) -> None:
    """Migrate the database to the newest version. Raises `SettingsError` if it is from a newer studio."""
    if sqlite.version_of(connection) > len(steps):
        raise SettingsError(
            "The queue's database was written by a newer version of the studio; "
            "update the studio, or start it with another output folder."
        )
    sqlite.migrate(connection, steps)
