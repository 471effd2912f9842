"""Keeps the catalog synchronised with the model folders, by file system events or by polling.

Events come in bursts, so a scan waits for a short quiet period; `probe_cache` recognises files that are still
being written. Network file systems do not report changes by other computers, and links lead out of the
watched folders: in these cases, and if the system's watch limit is reached, folders are scanned every
`catalog_poll_seconds`. Other programs' folders are observed like our own, each folder of models for itself.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Collection
from pathlib import Path

import psutil
from watchdog import events
from watchdog.observers.api import BaseObserver

from ...storage import file_watching
from ..foreign.folders import Tree
from ..scan import UNFINISHED
from .registry import Registry

log = logging.getLogger(__name__)

QUIET = 0.3
MAX_QUIET = 1.5
"""Seconds without an event before a scan, and maximum delay of a scan."""
RESCAN_UNSETTLED = 0.5
"""Seconds between scans while a file is still being written."""
PAUSE = 10
"""Least pause between scans, in lengths of a scan, so that looking through many thousand models by polling
does not keep a core busy."""
SCAN_EVERY = 60.0
"""Seconds between scans if file system events arrive."""
SILENT = ("nfs", "cifs", "smb", "9p", "afp", "ncp", "vboxsf", "prl_fs", "virtiofs", "fuse.", "davfs", "drvfs")
"""Name prefixes of file systems that may change without events."""


class CatalogWatcher(events.FileSystemEventHandler):
    """A thread that refreshes the registry after changes in its folders."""

    def __init__(self, registry: Registry):
        self._registry = registry
        settings = registry.settings
        self._poll = settings.catalog_poll_seconds
        self._own = (settings.checkpoints, settings.loras, settings.wildcards, settings.tags)
        self._observers: dict[Path, BaseObserver | None] = {}
        """By real folder; None where there are no events."""
        self._seen: tuple[Tree, ...] = ()
        """Other programs' folders that are observed."""
        self._scan_took = 0.0
        self._events_failed = False
        self._must_poll = True
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._last_event = 0.0
        self.looks = 0
        """Number of scans so far."""
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
        """Called on watchdog's thread; only records that something happened."""
        paths = [str(path) for path in (event.src_path, event.dest_path) if path]
        names = [os.path.basename(path) for path in paths]
        # Ignore temporary files, ours and those of downloads.
        if all(name.startswith(".") or name.endswith(UNFINISHED) for name in names):
            return
        self._last_event = time.monotonic()
        self._wake.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._observe()
                begun = time.monotonic()
                self._registry.refresh(patient=True)
                self._scan_took = time.monotonic() - begun
                self._registry.tags.tags()  # which takes a second for a long list, so that no page waits
                self.looks += 1
            except Exception:
                log.exception("the model folders could not be read")
            self._wait_for_change()
        for observer in self._observers.values():
            file_watching.stop_observer(observer)

    def _wait_for_change(self) -> None:
        """Wait for an event followed by a quiet period, or until the next scan is due."""
        # There is no event when an unreadable file becomes readable.
        registry = self._registry
        reasons = [each.unusable for each in registry.checkpoints()] + [
            each.unusable for each in registry.loras()
        ]
        often = (
            self._must_poll
            or bool(registry.unread.unread)
            or any("cannot be read" in reason for reason in reasons if reason)
        )
        wait = max(self._poll, PAUSE * self._scan_took) if often else SCAN_EVERY
        if registry.unsettled:
            wait = max(RESCAN_UNSETTLED, self._scan_took)
        until = time.monotonic() + wait
        while not self._wake.wait(min(self._poll, max(0.0, until - time.monotonic()))):
            if time.monotonic() >= until:
                return
            if not self._must_poll and not self._is_receiving_events():
                return
            # The folder of the styles is not observed, since it holds the whole studio, nor are those of
            # other programs' settings.
            if registry.styles.is_stale or registry.foreign.is_stale() or registry.trees != self._seen:
                return
        self._wake.clear()
        first = time.monotonic()
        while not self._ended.is_set():
            now = time.monotonic()
            if now - self._last_event >= QUIET or now - first >= MAX_QUIET:
                return
            self._ended.wait(QUIET)

    def _is_receiving_events(self) -> bool:
        observers = filter(None, self._observers.values())
        return all(file_watching.is_receiving_events(observer) for observer in observers)

    def _observe(self) -> None:
        """Observe the existing roots, and determine whether events cover everything."""
        if self._observers and not self._is_receiving_events():
            log.warning("file system events of the model folders no longer arrive; scanning instead")
            for observer in self._observers.values():
                file_watching.stop_observer(observer)
            self._observers.clear()
            self._events_failed = True
        if self._events_failed:
            self._must_poll = True
            return
        self._seen = self._registry.trees
        roots = {root.resolve() for root in self._roots() if root.is_dir()}
        # A folder in another one is observed with it.
        roots = {root for root in roots if not any(root.is_relative_to(each) for each in roots - {root})}
        for gone in self._observers.keys() - roots:
            file_watching.stop_observer(self._observers.pop(gone))
        for root in sorted(roots - self._observers.keys()):
            self._observers[root] = None if _is_silent(root) else file_watching.observe(root, self)
        needed = (self._registry.settings.checkpoints, self._registry.settings.loras)
        self._must_poll = (
            None in self._observers.values() or not all(root.is_dir() for root in needed) or _leads_out(roots)
        )

    def _roots(self) -> list[Path]:
        """Our own folders of models, and other programs' ones."""
        # Styles are a file, and the folder that it lies in is the whole program's.
        folders = (each for tree in self._seen for each in tree.folders if each.kind != "styles")
        return [*self._own, *(each.path for each in folders)]


def _leads_out(roots: Collection[Path]) -> bool:
    """Whether a link below these real folders leads out of them."""
    below = [os.fspath(root) for root in roots]
    while below:
        try:
            with os.scandir(below.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        target = Path(os.path.realpath(entry.path))
                        if not any(target.is_relative_to(root) for root in roots):
                            return True
                    elif entry.is_dir():
                        below.append(entry.path)
        except OSError:
            continue
    return False


def _is_silent(folder: Path) -> bool:
    """Whether the folder is on a file system that may change without events."""
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
