"""Changes of folders as the system tells them (watchdog), and whether it still does.

On Linux one thread of watchdog reads the events of all observers of the process. An error in it, for
instance about a folder that moves while it is being added, ends it without a word: whoever watches asks
`is_receiving_events` now and then, and looks at the folders itself where nobody tells any more.
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
"""What a watcher wants to hear. Opening and reading are left out, since they are its own doing."""
if not sys.platform.startswith("linux"):  # elsewhere nobody tells when a file was closed
    CHANGES.append(events.FileModifiedEvent)


def observe(folder: Path, handler: events.FileSystemEventHandler) -> BaseObserver | None:
    """An observer of all below `folder`, started; None where the system gives no events (said in the log)."""
    observer = Observer()
    try:
        observer.schedule(handler, str(folder), recursive=True, event_filter=CHANGES)
        observer.start()
    except OSError as error:
        # Most often Linux's limit of watched folders.
        log.warning("the system does not tell about changes in %s (%s); looking instead", folder, error)
        return None
    return observer


def is_receiving_events(observer: BaseObserver | None) -> bool:
    """Whether events still arrive."""
    if observer is None or not observer.is_alive() or not all(e.is_alive() for e in observer.emitters):
        return False
    readers = [thread for thread in threading.enumerate() if type(thread).__name__ == "InotifyFD"]
    return bool(readers) or not sys.platform.startswith("linux")


def stop_observer(observer: BaseObserver | None) -> None:
    """Stop it, where it was started."""
    if observer is not None and observer.is_alive():
        observer.stop()
        observer.join(timeout=10)
