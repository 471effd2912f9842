"""The database of the queue: opening, migrating, setting a damaged one aside."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from pathlib import Path

from ..errors import SettingsError

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

_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class DamagedDatabaseError(Exception):
    """The file is not a database of ours, or not whole."""


def open_database(path: Path) -> tuple[sqlite3.Connection, str | None]:
    """A connection for writing, at the newest schema; and what to tell when a damaged file was set aside.

    Raises `SettingsError` where there can be no database at all.
    """
    try:
        return _open(path), None
    except DamagedDatabaseError as damage:
        aside = _set_aside(path)
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
    """A connection that several threads may use in turn, without Python's own transactions."""
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    # A flipped bit in one text must not hide the other rows, as an error of decoding would.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    connection.execute("PRAGMA journal_mode=WAL")
    # FULL: a commit is on the disk before it is answered, so a power cut loses no queued job.
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _open(path: Path) -> sqlite3.Connection:
    connection = None
    try:
        connection = connect(path)
        check = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise DamagedDatabaseError(str(check).splitlines()[-1])
        migrate(connection)
        _check_columns(connection)
        return connection
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith(_DAMAGE) or name == "SQLITE_ERROR":
            # SQLITE_ERROR: readable, but a table or column is not what it should be.
            raise DamagedDatabaseError(str(error)) from None
        raise SettingsError(f"The database {path} cannot be used ({error}); check the folder.") from None
    except BaseException:
        if connection is not None:
            connection.close()
        raise


def migrate(connection: sqlite3.Connection, steps: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Bring the database to the newest version, each step in a transaction of its own."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(steps):
        raise SettingsError(
            "The record of the queue was written by a newer version of the studio; "
            "update the studio, or start it with another output folder."
        )
    for number in range(version, len(steps)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in steps[number]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _check_columns(connection: sqlite3.Connection) -> None:
    """A file that claims our version must have our tables."""
    fresh = sqlite3.connect(":memory:")
    try:
        for step in MIGRATIONS:
            for statement in step:
                fresh.execute(statement)
        for (table,) in fresh.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            wanted = {row[1] for row in fresh.execute(f"PRAGMA table_info({table})")}
            found = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            if missing := sorted(wanted - found):
                raise DamagedDatabaseError(f"{table} lacks {', '.join(missing)}")
    finally:
        fresh.close()


def _set_aside(path: Path) -> Path:
    """Rename the database with its journals, never over another file."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    try:
        for ending in ("", "-wal", "-shm"):
            source = path.with_name(path.name + ending)
            if source.exists():
                os.rename(source, aside.with_name(aside.name + ending))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SettingsError(
            f"The database {path} is damaged and cannot be set aside ({reason}); move it away by hand."
        ) from None
    return aside
