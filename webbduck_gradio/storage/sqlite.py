"""SQLite files: how they are opened, which version they have, and what becomes of damaged ones."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from ..errors import SettingsError

FILES = ("", "-wal", "-shm")
"""Endings of what belongs to one database: itself and its journals."""
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Steps = Sequence[Sequence[str]]
"""Statements by version: step n brings a database from version n to n + 1."""


class DamagedDatabaseError(Exception):
    """The file is not a database of ours, or not whole."""


def connect(
    path: Path, *, timeout: float = 10, synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
) -> sqlite3.Connection:
    """A connection in WAL mode that several threads may use in turn, without Python's own transactions.

    `timeout`: seconds to wait for another writer. `synchronous`: with FULL a commit is on the disk before it
    is answered, with NORMAL a power cut may undo the last ones. Raises `sqlite3.DatabaseError`.
    """
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        # Setting the mode writes, which must not wait for another writer where it is set already.
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error means that the file is no database, or not whole."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE


def version_of(connection: sqlite3.Connection) -> int:
    """Version of the schema; 0 for a new file."""
    return connection.execute("PRAGMA user_version").fetchone()[0]


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All that the block writes, or, where it raises, nothing."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        yield connection


def migrate(connection: sqlite3.Connection, steps: Steps) -> None:
    """Bring a database to the newest version, each step in a transaction of its own."""
    for number in range(version_of(connection), len(steps)):
        with transaction(connection):
            for statement in steps[number]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")


def check_schema(connection: sqlite3.Connection, steps: Steps) -> None:
    """Raises `DamagedDatabaseError` where tables of the newest version, or columns of theirs, are missing."""
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate(fresh, steps)
        for (table,) in fresh.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            wanted = {row[1] for row in fresh.execute(f"PRAGMA table_info({table})")}
            found = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            if missing := sorted(wanted - found):
                raise DamagedDatabaseError(f"{table} lacks {', '.join(missing)}")
    finally:
        fresh.close()


def check_pages(connection: sqlite3.Connection) -> None:
    """Raises `DamagedDatabaseError` where SQLite finds the file's structure broken."""
    result = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if result != "ok":
        raise DamagedDatabaseError(result.splitlines()[-1])


def set_aside(path: Path) -> Path:
    """Rename a database with its journals, never over another file. Raises `SettingsError`."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    try:
        for ending in FILES:
            source = path.with_name(path.name + ending)
            if source.exists():
                os.rename(source, aside.with_name(aside.name + ending))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SettingsError(
            f"The database {path} is damaged and cannot be set aside ({reason}); move it away by hand."
        ) from None
    return aside


def remove(path: Path) -> None:
    """Delete a database with its journals, where it is there. Raises `OSError`."""
    for ending in FILES:
        path.with_name(path.name + ending).unlink(missing_ok=True)
