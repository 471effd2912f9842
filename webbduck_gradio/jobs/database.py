"""The open job database: one writer, one reader, and notification of changes."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import SettingsError, StorageError
from ..storage import sqlite
from ..storage.folder_lock import FolderLock
from ..storage.reading import identity
from . import schema

log = logging.getLogger(__name__)


class Database:
    """One per process and file. Thread-safe.

    Writes use one connection under a lock; reads have a connection of their own, so that a reader does not
    wait for a writer's fsync.
    """

    def __init__(self, path: Path):
        """Open or create the file. Raises `SettingsError` if that fails or another studio uses it."""
        self.problem: str | None = None
        # Starts at the clock's milliseconds, so that a page from before a restart never sees a number again.
        self.version = self.list_version = time.time_ns() // 1_000_000
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._changed = threading.Condition()
        self._woken = False
        self._listeners: set[Callable[[bool], None]] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Two studios on one folder would each mark the other's running job as interrupted.
            self._owned = FolderLock(path.with_name(path.name + ".lock"))
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise SettingsError(
                f"The folder {path.parent} is not writable ({reason}); choose another."
            ) from None
        try:
            self.writer, self.problem = schema.open_database(path)
            self.reader = schema.connect(path)
        except BaseException:
            self._owned.release()
            raise
        self.reader.execute("PRAGMA query_only = 1")
        self._path, self._identity = path, identity(path)

    def close(self) -> None:
        """Close the file and release the folder lock."""
        with self._write_lock, self._read_lock:
            self.reader.close()
            self.writer.close()
            self._owned.release()

    def check_in_place(self) -> None:
        """Raises `StorageError` if the file was moved, removed or replaced. SQLite still writes to it then,
        but a restarted studio would not find it."""
        if identity(self._path) != self._identity:
            raise StorageError(
                "The queue's database is no longer in the output folder, so that a new job would be lost; "
                "put the folder back or restart the studio."
            )

    def read(self, query: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query, as a consistent snapshot. Raises `StorageError`."""
        with self._read_lock:
            try:
                return self.reader.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StorageError(
                    f"The queue's database cannot be read ({error}); check the disk."
                ) from None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, on disk when the block ends. Not reentrant.

        Raises `StorageError` if it cannot be written; then nothing is changed.
        """
        with self._write_lock:
            db = self.writer
            before = db.total_changes
            try:
                with sqlite.transaction(db):
                    yield db
            except sqlite3.Error as error:
                raise StorageError(
                    f"The queue could not be written ({error}); free some space or check the disk."
                ) from error
            changed = db.total_changes != before
        if changed:
            self.notify(list_changed=True)

    # ---- notification

    def notify(self, list_changed: bool = False) -> None:
        """Increase the version counters, call the listeners, and wake threads waiting for a queue change."""
        with self._changed:
            self.version += 1
            if list_changed:
                self.list_version += 1
                self._changed.notify_all()
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(list_changed)

    @contextmanager
    def listening(self, listener: Callable[[bool], None]) -> Iterator[None]:
        """Within the block, call `listener(list_changed)` after each change, on the thread that made it.

        It must return immediately and not raise.
        """
        with self._changed:
            self._listeners.add(listener)
        try:
            yield
        finally:
            with self._changed:
                self._listeners.discard(listener)

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait up to `timeout` seconds until `condition()` holds after a change. False after a timeout or
        `wake`."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._woken or condition(), timeout)
            woken, self._woken = self._woken, False
            return found and not woken

    def wake(self) -> None:
        """Make a waiting `wait_until` return False."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()
