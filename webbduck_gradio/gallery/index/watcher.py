"""Keeps the index in step with the folders: events from the system, and a look now and then."""

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
from .skipped_entries import LeftOut, is_left_out

log = logging.getLogger(__name__)

SETTLE = 0.2
"""Seconds to gather events in before reading, so that a file is not read ten times while it is written."""
LOOK_EVERY = 120.0
LOOK_EVERY_BLIND = 2.0
HEARING_TEST_EVERY = 2.0
"""Seconds between looks at all folders: with the system's events, and where it gives none; and between
looks at whether it still gives them."""
TELL_EVERY = 2.0
"""Seconds between news of what a look at all folders has found so far."""


class IndexWatcher(events.FileSystemEventHandler):
    """A thread that refreshes `index` and calls `changed` when something was different."""

    def __init__(self, root: Path, index: Index, left_out: LeftOut, changed: Callable[[], None]):
        self._root = root
        self._index = index
        self._changed = changed
        self._lock = threading.Lock()
        self._stale: set[str] = set()
        self._folders: set[str] = set()
        self._look = True
        self._odd = False
        self._left_out = left_out
        self._told = 0.0
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
            elif is_left_out(name):
                self._odd = True
            else:
                return
        self._wake.set()

    def _run(self) -> None:
        observer = file_watching.observe(self._root, self)
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
            observer = self._rest(observer)
            self._ended.wait(SETTLE)
        file_watching.stop_observer(observer)

    def _rest(self, observer: BaseObserver | None) -> BaseObserver | None:
        """Wait for something to read or the time of the next look; gives up an observer gone deaf."""
        next_look = time.monotonic() + (LOOK_EVERY if observer else LOOK_EVERY_BLIND)
        while not self._wake.wait(min(HEARING_TEST_EVERY, max(0.0, next_look - time.monotonic()))):
            if observer and not file_watching.is_receiving_events(observer):
                log.warning("the system no longer tells about changes in %s; looking instead", self._root)
                file_watching.stop_observer(observer)
                self._look = True
                return None
            if time.monotonic() >= next_look:
                self._look = True
                break
        return observer

    def _once(self) -> None:
        self._wake.clear()
        with self._lock:
            stale, folders, look, odd = self._stale, self._folders, self._look, self._odd
            self._stale, self._folders, self._look, self._odd = set(), set(), False, False
        changed = self._index.refresh(sorted(stale)) if stale else False
        if look:
            changed |= self._index.reconcile(self._ended.is_set, progress=self._tell)
        else:
            for folder in sorted(folders):
                changed |= self._index.reconcile(self._ended.is_set, below=folder)
        if look or odd or folders:
            changed |= self._left_out.look()
        first = not self.complete.is_set()
        self.complete.set()
        if changed or first:
            self._changed()

    def _tell(self) -> None:
        """What a long look has found so far can be seen, without a new listing every moment."""
        if time.monotonic() - self._told > TELL_EVERY:
            self._told = time.monotonic()
            self._changed()
