"""Keeps the index in step with the folders: events from the system, and a look now and then."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from watchdog import events
from watchdog.observers import Observer

from ..errors import WebbDuckError
from .index import Index
from .runs import META, is_image_id

log = logging.getLogger(__name__)

SETTLE = 0.2
"""Seconds to gather events in before reading, so that a file is not read ten times while it is written."""
LOOK_EVERY = 120.0
LOOK_EVERY_BLIND = 2.0
"""Seconds between looks at all folders: with the system's events, and where it gives none."""

EVENTS: list[type[events.FileSystemEvent]] = [
    events.FileCreatedEvent,
    events.FileMovedEvent,
    events.FileDeletedEvent,
    events.FileClosedEvent,
    events.DirCreatedEvent,
    events.DirMovedEvent,
    events.DirDeletedEvent,
]
if not sys.platform.startswith("linux"):  # elsewhere nobody tells when a file was closed
    EVENTS.append(events.FileModifiedEvent)


class Watcher(events.FileSystemEventHandler):
    """A thread that refreshes `index` and calls `changed` when something was different."""

    def __init__(self, root: Path, index: Index, changed: Callable[[], None]):
        self._root = root
        self._index = index
        self._changed = changed
        self._lock = threading.Lock()
        self._stale: set[str] = set()
        self._folders: set[str] = set()
        self._look = True
        self._wake = threading.Event()
        self._ended = threading.Event()
        self.complete = threading.Event()
        """Set once the first look at all folders is done."""
        index.database.when_lost = self.look
        self._thread = threading.Thread(target=self._run, name="gallery-index", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits for the transaction that it is in."""
        self._ended.set()
        self._wake.set()
        self._thread.join(timeout=30)

    def look(self) -> None:
        """Have all folders compared with the index, soon."""
        with self._lock:
            self._look = True
        self._wake.set()

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        """Called by watchdog's thread; only notes what to read."""
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
            else:
                return
        self._wake.set()

    def _run(self) -> None:
        every = LOOK_EVERY
        observer = Observer()
        try:
            observer.schedule(self, str(self._root), recursive=True, event_filter=EVENTS)
            observer.start()
        except OSError as error:
            # Most often Linux's limit of watched folders.
            log.warning(
                "the system does not tell about changes in %s (%s); looking instead", self._root, error
            )
            every = LOOK_EVERY_BLIND
        while not self._ended.is_set():
            try:
                self._once()
            except WebbDuckError as error:
                log.warning("%s", error)
                self._look = True
                self._ended.wait(1)
            except Exception:
                log.exception("the gallery's index could not be brought up to date")
                self._ended.wait(5)
            if not self._wake.wait(every):
                self._look = True
            self._ended.wait(SETTLE)
        if observer.is_alive():
            observer.stop()
            observer.join(timeout=10)

    def _once(self) -> None:
        self._wake.clear()
        with self._lock:
            stale, folders, look = self._stale, self._folders, self._look
            self._stale, self._folders, self._look = set(), set(), False
        changed = self._index.refresh(sorted(stale)) if stale else False
        if look:
            changed |= self._index.reconcile(self._ended.is_set)
        else:
            for folder in sorted(folders):
                changed |= self._index.reconcile(self._ended.is_set, below=folder)
        if changed:
            self._changed()
        self.complete.set()
