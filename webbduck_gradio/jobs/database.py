"""The queue's SQLite file in use: one writer, one reader, and the news of its changes."""

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
from . import schema

log = logging.getLogger(__name__)


class Database:
    """One per process and file; all methods may be called from any thread.

    Writing goes through one connection under a lock; reading has a connection of its own, so that a
    reader does not wait for a writer's fsync.
    """

    def __init__(self, path: Path):
        """Open or make the file. `SettingsError`: another studio has it, or there can be none."""
        self.problem: str | None = None
        # Starts at the clock's milliseconds, so that a page from before a restart never meets its old number.
        self.version = self.list_version = time.time_ns() // 1_000_000
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._news = threading.Condition()
        self._woken = False
        self._listeners: set[Callable[[bool], None]] = set()
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
            self.writer, self.problem = schema.open_database(path)
            self.reader = schema.connect(path)
        except BaseException:
            self._owned.release()
            raise
        self.reader.execute("PRAGMA query_only = 1")

    def close(self) -> None:
        """Close the file and give the folder free for another studio."""
        with self._write_lock, self._read_lock:
            self.reader.close()
            self.writer.close()
            self._owned.release()

    def read(self, query: str, *values: object) -> list[sqlite3.Row]:
        """All rows, as they are at one moment. Raises `StorageError`."""
        with self._read_lock:
            try:
                return self.reader.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StorageError(
                    f"The queue's database cannot be read ({error}); check the disk."
                ) from None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk when the block has ended, or has not happened.

        Raises `StorageError` where the disk refuses it. Not to be nested.
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
            self.notify(of_the_list=True)

    # ---- news

    def notify(self, of_the_list: bool = False) -> None:
        """Raise the counters, call the listeners, and wake the threads that wait for a change of the list."""
        with self._news:
            self.version += 1
            if of_the_list:
                self.list_version += 1
                self._news.notify_all()
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(of_the_list)

    @contextmanager
    def listening(self, listener: Callable[[bool], None]) -> Iterator[None]:
        """Within the block, call `listener(of_the_list)` after each change, in the thread that made it.

        It must return at once and raise nothing.
        """
        with self._news:
            self._listeners.add(listener)
        try:
            yield
        finally:
            with self._news:
                self._listeners.discard(listener)

    def wait_until(self, true: Callable[[], bool], timeout: float) -> bool:
        """Wait up to `timeout` seconds for a change that makes `true`; False also after `wake`."""
        with self._news:
            found = self._news.wait_for(lambda: self._woken or true(), timeout)
            woken, self._woken = self._woken, False
            return found and not woken

    def wake(self) -> None:
        """End the waiting of `wait_until`."""
        with self._news:
            self._woken = True
            self._news.notify_all()
