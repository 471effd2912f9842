"""File system events from watchdog, with a check that they still arrive.

On Linux, one thread of watchdog reads the events of all observers of the process. An error in it, for
instance when a folder is moved while being added, kills it silently; callers therefore poll
`is_receiving_events` and fall back to scanning.
"""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

log = logging.getLogger(__name__)

CHANGES: list[type[events.FileSystemEvent]] = [
    events.FileCreatedEvent,
    events.FileMovedEvent,
    events.FileDeletedEvent,
    events.FileClosedEvent,
    events.DirCreatedEvent,
    events.DirMovedEvent,
    events.DirDeletedEvent,
]
"""Events that watchers need. Without open and read events, which the watchers cause themselves."""
if not sys.platform.startswith("linux"):  # close events exist on Linux only
    CHANGES.append(events.FileModifiedEvent)


def observe(folder: Path, handler: events.FileSystemEventHandler) -> BaseObserver | None:
    """Start an observer of everything below `folder`; None, with a log message, if there are no events."""
    observer = Observer()
    try:
        observer.schedule(handler, str(folder), recursive=True, event_filter=CHANGES)
        observer.start()
    except OSError as error:
        # Usually Linux's limit of watched folders.
        log.warning("no file system events for %s (%s); scanning instead", folder, error)
        return None
    return observer


def is_receiving_events(observer: BaseObserver | None) -> bool:
    """Whether events still arrive."""
    if observer is None or not observer.is_alive() or not all(e.is_alive() for e in observer.emitters):
        return False
    readers = [thread for thread in threading.enumerate() if type(thread).__name__ == "InotifyFD"]
    return bool(readers) or not sys.platform.startswith("linux")


def stop_observer(observer: BaseObserver | None) -> None:
    """Stop the observer if it is running."""
    if observer is not None and observer.is_alive():
        observer.stop()
        observer.join(timeout=10)
