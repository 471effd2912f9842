"""Keeps the index synchronised with the folders: file system events, plus a periodic scan."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchdog import events
from watchdog.observers.api import BaseObserver

from ...errors import WebbDuckError
from ...storage import file_watching
from ..run_layout import META, is_image_id
from .index import Index
from .skipped_entries import SkippedEntries, is_skipped

log = logging.getLogger(__name__)

DEBOUNCE = 0.2
"""Seconds to collect events before reading, so that a file is not read repeatedly while it is written."""
SCAN_EVERY = 120.0
SCAN_EVERY_WITHOUT_EVENTS = 2.0
"""Seconds between full scans, with and without file system events."""
CHECK_EVENTS_EVERY = 2.0
"""Seconds between checks that file system events still arrive."""
NOTIFY_EVERY = 2.0
"""Minimum seconds between `changed` calls during a full scan."""


class IndexWatcher(events.FileSystemEventHandler):
    """A thread that refreshes `index` and calls `changed` when something has changed."""

    def __init__(self, root: Path, index: Index, skipped: SkippedEntries, changed: Callable[[], None]):
        self._root = root
        self._index = index
        self._changed = changed
        self._lock = threading.Lock()
        self._stale: set[str] = set()
        self._folders: set[str] = set()
        self._full_scan = True
        self._skipped_changed = False
        self._skipped = skipped
        self._last_notified = 0.0
        self._wake = threading.Event()
        self._ended = threading.Event()
        self.complete = threading.Event()
        """Set once the first full scan is done."""
        index.database.when_lost = self.rescan
        self._thread = threading.Thread(target=self._run, name="gallery-index", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; waits for its current transaction."""
        self._ended.set()
        self._wake.set()
        self._thread.join(timeout=30)

    def rescan(self) -> None:
        """Request a full scan soon."""
        with self._lock:
            self._full_scan = True
        self._wake.set()

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        """Called on watchdog's thread; only records what to read."""
        for path in (event.src_path, event.dest_path):
            if path:
                self._note(Path(str(path)), event.is_directory)

    def _note(self, path: Path, is_folder: bool) -> None:
        try:
            name = path.relative_to(self._root).as_posix()
        except ValueError:
            return
        if name.startswith(".") or "/." in name:
            return
        with self._lock:
            if is_folder and is_image_id(f"{name}/0.png"):
                self._folders.add(name)
            elif is_image_id(name) or path.name == META:
                self._stale.add(name.rpartition("/")[0])
            elif is_skipped(name):
                self._skipped_changed = True
            else:
                return
        self._wake.set()

    def _run(self) -> None:
        observer = file_watching.observe(self._root, self)
        while not self._ended.is_set():
            try:
                self._process_pending()
            except WebbDuckError as error:
                log.warning("%s", error)
                self._full_scan = True
                self._ended.wait(1)
            except Exception:
                log.exception("the gallery's index could not be brought up to date")
                self._ended.wait(5)
            observer = self._wait_for_change(observer)
            self._ended.wait(DEBOUNCE)
        file_watching.stop_observer(observer)

    def _wait_for_change(self, observer: BaseObserver | None) -> BaseObserver | None:
        """Wait for an event or the next full scan; stops using an observer that no longer delivers events."""
        next_scan = time.monotonic() + (SCAN_EVERY if observer else SCAN_EVERY_WITHOUT_EVENTS)
        while not self._wake.wait(min(CHECK_EVENTS_EVERY, max(0.0, next_scan - time.monotonic()))):
            if observer and not file_watching.is_receiving_events(observer):
                log.warning("file system events of %s no longer arrive; scanning instead", self._root)
                file_watching.stop_observer(observer)
                self._full_scan = True
                return None
            if time.monotonic() >= next_scan:
                self._full_scan = True
                break
        return observer

    def _process_pending(self) -> None:
        self._wake.clear()
        with self._lock:
            stale, folders = self._stale, self._folders
            full_scan, skipped_changed = self._full_scan, self._skipped_changed
            self._stale, self._folders = set(), set()
            self._full_scan = self._skipped_changed = False
        changed = self._index.refresh(sorted(stale)) if stale else False
        if full_scan:
            changed |= self._index.reconcile(self._ended.is_set, progress=self._notify)
        else:
            for folder in sorted(folders):
                changed |= self._index.reconcile(self._ended.is_set, below=folder)
        if full_scan or skipped_changed or folders:
            changed |= self._skipped.rescan()
        first = not self.complete.is_set()
        self.complete.set()
        if changed or first:
            self._changed()

    def _notify(self) -> None:
        """Report results during a long scan, at most every `NOTIFY_EVERY` seconds."""
        if time.monotonic() - self._last_notified > NOTIFY_EVERY:
            self._last_notified = time.monotonic()
            self._changed()
