"""The catalog follows the folders: by the system's events, and by looking where nobody tells.

Events come in bursts and files grow slowly, so a look waits until it has been quiet for a moment; how files
that are still being written are told is the shelf's business. Network file systems do not say what other
computers do, and links lead out of what is watched: there, and where the system's limit is reached, the
folders are looked at every `catalog_poll_seconds`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

import psutil
from watchdog import events
from watchdog.observers.api import BaseObserver

from ...storage import file_watching
from ..scan import UNFINISHED
from .registry import Registry

log = logging.getLogger(__name__)

QUIET = 0.3
MOST_QUIET = 1.5
"""Seconds without an event after which to look, and seconds after which to look in any case."""
AGAIN = 0.5
"""Seconds between looks while some file is still being written."""
LOOK_EVERY = 60.0
"""Seconds between looks where the system tells about changes."""
SILENT = ("nfs", "cifs", "smb", "9p", "afp", "ncp", "vboxsf", "prl_fs", "virtiofs", "fuse.", "davfs", "drvfs")
"""Beginnings of the names of file systems that may change without an event."""


class CatalogWatcher(events.FileSystemEventHandler):
    """A thread that refreshes the registry soon after something changed in its folders."""

    def __init__(self, registry: Registry):
        self._registry = registry
        settings = registry.settings
        self._poll = settings.catalog_poll_seconds
        self._roots = (settings.checkpoints, settings.loras, settings.wildcards)
        self._observers: list[BaseObserver] = []
        self._watched: set[Path] = set()
        self._deaf = False
        self._blind = True
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._last_event = 0.0
        self.looks = 0
        """How often the folders were looked at."""
        self._thread = threading.Thread(target=self._run, name="catalog-watch", daemon=True)

    def start(self) -> None:
        self._registry.hashes.start()
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        self._registry.hashes.stop()

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        """Called by watchdog's thread; only notes that something happened."""
        paths = [str(path) for path in (event.src_path, event.dest_path) if path]
        names = [os.path.basename(path) for path in paths]
        # Our own temporary files, and those of downloads, come before something that counts.
        if all(name.startswith(".") or name.endswith(UNFINISHED) for name in names):
            return
        self._last_event = time.monotonic()
        self._wake.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._watch()
                self._registry.refresh(patient=True)
                self.looks += 1
            except Exception:
                log.exception("the model folders could not be read")
            self._rest()
        for observer in self._observers:
            file_watching.stop_observer(observer)

    def _rest(self) -> None:
        """Until something happened and it has been quiet for a moment, or the next look is due."""
        # That a file may be read at last is no event either.
        registry = self._registry
        reasons = [each.unusable for each in registry.checkpoints()] + [
            each.unusable for each in registry.loras()
        ]
        often = (
            self._blind
            or bool(registry.unread.unread)
            or any("cannot be read" in reason for reason in reasons if reason)
        )
        wait = AGAIN if self._registry.unsettled else self._poll if often else LOOK_EVERY
        until = time.monotonic() + wait
        while not self._wake.wait(min(self._poll, max(0.0, until - time.monotonic()))):
            if time.monotonic() >= until:
                return
            if not self._blind and not self._hears():
                return
        self._wake.clear()
        first = time.monotonic()
        while not self._ended.is_set():
            now = time.monotonic()
            if now - self._last_event >= QUIET or now - first >= MOST_QUIET:
                return
            self._ended.wait(QUIET)

    def _hears(self) -> bool:
        return all(file_watching.is_receiving_events(observer) for observer in self._observers)

    def _watch(self) -> None:
        """Observe the roots that are there; notes whether that sees everything."""
        if self._observers and not self._hears():
            log.warning("the system no longer tells about changes in the model folders; looking instead")
            for observer in self._observers:
                file_watching.stop_observer(observer)
            self._observers.clear()
            self._deaf = True
        if self._deaf:
            self._blind = True
            return
        for root in self._roots:
            real = root.resolve()
            if real not in self._watched and real.is_dir():
                self._watched.add(real)
                found = None if _is_silent(real) else file_watching.observe(real, self)
                self._observers += [found] if found is not None else []
        here = {root.resolve() for root in self._roots if root.is_dir()}
        needed = (self._registry.settings.checkpoints, self._registry.settings.loras)
        self._blind = (
            len(self._observers) < len(here) or not all(root.is_dir() for root in needed) or self._links()
        )

    def _links(self) -> bool:
        """Whether some link leads out of the folders, to where no observer listens."""
        for root in self._roots:
            real = root.resolve()
            for folder, folders, files in os.walk(real):
                for name in (*folders, *files):
                    path = os.path.join(folder, name)
                    if os.path.islink(path) and not Path(os.path.realpath(path)).is_relative_to(real):
                        return True
        return False


def _is_silent(folder: Path) -> bool:
    """Whether the folder lies on a file system that may change without telling."""
    try:
        mounts = [
            (mount.mountpoint, mount.fstype)
            for mount in psutil.disk_partitions(all=True)
            if folder.is_relative_to(mount.mountpoint)
        ]
    except (OSError, ValueError):
        return False
    _, kind = max(mounts, key=lambda mount: len(mount[0]), default=("", ""))
    return kind.lower().startswith(SILENT)
