"""Persistent cache of probe results and hashes of model files, each with the file's stamp.

It can be rebuilt from the files, which happens if it is damaged or from another version.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...storage import sqlite

log = logging.getLogger(__name__)

FORMAT = 6
"""Incremented whenever probing changes, which invalidates the cache."""

Row = tuple[str, str, str, dict[str, Any]]
"""(kind, path, stamp, result)."""


class CatalogCache:
    """A small SQLite file; every method may be called from any thread. None: nothing is kept."""

    def __init__(self, path: Path | None):
        self._path = path if path is not None and path.parent.is_dir() else None
        self._lock = threading.Lock()
        for _ in range(2):
            try:
                self._prepare()
                return
            except sqlite3.DatabaseError as error:
                log.warning("%s is made anew (%s)", self._path, error)
                self._forget_all()
        self._path = None

    def _prepare(self) -> None:
        if self._path is None:
            return
        with self._open() as database:
            if sqlite.version_of(database) == FORMAT:
                return
        self._forget_all()
        with self._open() as database, sqlite.transaction(database):
            database.execute(
                "CREATE TABLE findings (kind TEXT, path TEXT, stamp TEXT, result TEXT,"
                " PRIMARY KEY (kind, path))"
            )
            database.execute("CREATE TABLE hashes (path TEXT PRIMARY KEY, stamp TEXT, hash TEXT)")
            database.execute(f"PRAGMA user_version = {FORMAT}")

    def _forget_all(self) -> None:
        assert self._path is not None
        with contextlib.suppress(OSError):
            sqlite.remove(self._path)

    def _open(self) -> contextlib.closing[sqlite3.Connection]:
        assert self._path is not None
        return contextlib.closing(sqlite.connect(self._path))

    def findings(self) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
        """(kind, path) -> (stamp, result)."""
        rows = self._all("SELECT kind, path, stamp, result FROM findings")
        try:
            return {(kind, path): (stamp, json.loads(result)) for kind, path, stamp, result in rows}
        except ValueError:
            return {}

    def hashes(self) -> dict[str, tuple[str, str]]:
        """path -> (stamp, hash)."""
        return {
            path: (stamp, known) for path, stamp, known in self._all("SELECT path, stamp, hash FROM hashes")
        }

    def _all(self, query: str) -> list[Any]:
        if self._path is None:
            return []
        try:
            with self._lock, self._open() as database:
                return database.execute(query).fetchall()
        except sqlite3.DatabaseError as error:
            log.warning("%s cannot be read (%s); the model files are read again", self._path, error)
            return []

    def keep(self, rows: Iterable[Row], gone: Iterable[tuple[str, str]] = ()) -> None:
        """Remember these and forget those that are gone (kind, path)."""
        told = [(kind, path, stamp, json.dumps(result)) for kind, path, stamp, result in rows]
        self._write("INSERT OR REPLACE INTO findings VALUES (?, ?, ?, ?)", told)
        self._write("DELETE FROM findings WHERE kind = ? AND path = ?", list(gone))

    def keep_hash(self, path: str, stamp: str, known: str) -> None:
        self._write("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", [(path, stamp, known)])

    def _write(self, statement: str, rows: list[Any]) -> None:
        if self._path is None or not rows:
            return
        try:
            with self._lock, self._open() as database, sqlite.transaction(database):
                database.executemany(statement, rows)
        except (sqlite3.DatabaseError, UnicodeEncodeError) as error:
            log.warning("%s cannot be written (%s)", self._path, error)
