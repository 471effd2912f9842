"""The index's SQLite file: opened on first use, thrown away when it is damaged."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import StorageError
from ...storage import sqlite
from .search import COLUMNS
from .sort import ORDERS

log = logging.getLogger(__name__)

SCHEMA_VERSION = 5
PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)
WRITING = ("PRAGMA cache_size = -16384", "PRAGMA wal_autocheckpoint = 8000")
"""16 and 32 MiB: the orders' indexes are written all over, which the usual 2 and 4 MiB make slow."""
MAX_IDLE = 8
SORTED = {each.column: f"{each.column} {each.direction}" for each in ORDERS.values() if each.column}

SCHEMA = (
    # `prompt`, `model`: as `order.key` makes them, of a run the first of its pictures; `head`: JSON.
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created REAL NOT NULL, stamp TEXT NOT NULL,
        images INTEGER NOT NULL, head TEXT NOT NULL DEFAULT '{}', pixels INTEGER NOT NULL DEFAULT 0,
        size_bytes INTEGER NOT NULL DEFAULT 0, prompt TEXT NOT NULL DEFAULT '',
        model TEXT NOT NULL DEFAULT '')""",
    "CREATE INDEX runs_newest ON runs (created DESC, id DESC, images) WHERE images > 0",
    *(
        f"CREATE INDEX runs_by_{column} ON runs ({order}, created DESC, id DESC, images) WHERE images > 0"
        for column, order in SORTED.items()
    ),
    """CREATE TABLE images (
        id INTEGER PRIMARY KEY, run INTEGER NOT NULL, name TEXT NOT NULL, modified_ns INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL, width INTEGER, height INTEGER, seed INTEGER, variant_of TEXT,
        favourite INTEGER NOT NULL DEFAULT 0, problem TEXT, pixels INTEGER NOT NULL, prompt TEXT NOT NULL,
        model TEXT NOT NULL, UNIQUE (run, name))""",
    *(
        f"CREATE INDEX images_by_{column} ON images ({order}, id DESC) WHERE variant_of IS NULL"
        for column, order in SORTED.items()
    ),
    # Checkpoints, LoRAs, samplers that pictures were made with, for choosing; some may have no picture left.
    "CREATE TABLE names (kind TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID",
    "CREATE INDEX variants ON images (run) WHERE variant_of IS NOT NULL",
    f"""CREATE VIRTUAL TABLE search USING fts5 (
        {", ".join(COLUMNS)}, tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co So'")""",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


class Database:
    """Safe to use from several threads; writing takes turns, reading does not wait for it."""

    def __init__(self, path: Path):
        self._path = path
        self._write = threading.RLock()
        self._generation = 0
        self.when_lost: Callable[[], None] = lambda: None
        """Called when a damaged index was thrown away, so that somebody reads the folders again."""
        self._db: sqlite3.Connection | None = None
        # Reading connections that nobody uses; threads come and go, so that they cannot keep their own.
        self._idle: list[sqlite3.Connection] = []

    def close(self) -> None:
        """Close the file; who still reads it may end that."""
        with self._write:
            self._generation += 1
            if self._db is not None:
                self._db.close()
                self._db = None
            while self._idle:
                self._idle.pop().close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction. Raises `StorageError` where it fails; then nothing was written."""
        with self._write:
            db = self._open()
            try:
                with sqlite.transaction(db):
                    yield db
            except sqlite3.DatabaseError as error:
                self._recover(error)
                raise StorageError(f"The gallery's index could not be written ({error}).") from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A view of one moment. Raises `StorageError` where the file is damaged."""
        if self._db is None:
            with self._write:
                self._open()
        generation = self._generation
        db = self._reader()
        try:
            db.execute("BEGIN")  # all that the block reads is of one moment
            try:
                yield db
            finally:
                db.rollback()
        except sqlite3.DatabaseError as error:
            self._recover(error)
            raise StorageError(f"The gallery's index could not be read ({error}); try again.") from error
        finally:
            if generation == self._generation and len(self._idle) < MAX_IDLE:
                self._idle.append(db)
            else:
                db.close()

    def _reader(self) -> sqlite3.Connection:
        with suppress(IndexError):  # none is idle
            return self._idle.pop()
        try:
            return sqlite.connect(self._path, timeout=30)
        except sqlite3.DatabaseError as error:
            self._recover(error)
            raise StorageError(f"The gallery's index could not be read ({error}); try again.") from error

    def _recover(self, error: sqlite3.DatabaseError) -> None:
        """Throw a damaged index away."""
        if not sqlite.is_damage(error):
            return
        log.warning("the gallery's index is damaged (%s); it is built again from the folders", error)
        with self._write:
            self.close()
            sqlite.remove(self._path)
        self.when_lost()

    def _open(self) -> sqlite3.Connection:
        """The writing connection, opened on first use: a second studio is refused before it writes."""
        if self._db is not None:
            return self._db
        for _ in range(2):
            try:
                db = sqlite.connect(self._path, timeout=30)
                for pragma in WRITING:
                    db.execute(pragma)
                with sqlite.transaction(db):
                    version = sqlite.version_of(db)
                    for statement in SCHEMA if version == 0 else ():
                        db.execute(statement)
                if version in (0, SCHEMA_VERSION):
                    self._db = db
                    return db
                db.close()
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) in PASSING:
                    raise StorageError(f"The gallery's index cannot be opened ({error}).") from error
                log.warning("the gallery's index is damaged (%s); it is built again from the folders", error)
            sqlite.remove(self._path)
        raise StorageError(f"The gallery's index {self._path.name} cannot be created; remove the file.")
