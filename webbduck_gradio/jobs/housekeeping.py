"""Keeps what is temporary small, and lets the queue go on when what the studio paused it for is over."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
from pathlib import Path

from ..errors import StorageError, WebbDuckError
from ..gallery.input_image_owners import InputOwners
from ..gallery.input_images import FILE_ID
from ..gallery.run_layout import META
from ..request import INPUT_IMAGE_ID
from ..settings import Settings
from ..storage.eviction import evict
from ..storage.reserve import Reserve
from .leftovers import sweep
from .obstacles import Obstacles
from .stall_watchdog import StallWatchdog
from .store import JobStore

log = logging.getLogger(__name__)

MEBIBYTE = 2**20
MAX_UPLOADS = 1024 * MEBIBYTE
UPLOAD_SECONDS = 6 * 3600.0
"""An upload that no job has taken for so long is removed; what a job takes is copied to the inputs."""
MAX_THUMBNAILS = 1024 * MEBIBYTE
MAX_UNUSED_INPUTS = 1024 * MEBIBYTE
"""Input pictures that no job and no run refers to."""
UNUSED_INPUT_SECONDS = 24 * 3600.0
MIN_FREE_BYTES = 48 * MEBIBYTE
"""Free space at which a queue that paused for want of space goes on: a few large pictures."""
LOOK_SECONDS = 5.0
TIDY_SECONDS = 600.0
REFERENCE = re.compile(INPUT_IMAGE_ID.encode())


class Housekeeping(threading.Thread):
    """Works in the background from `start` to `stop`."""

    def __init__(
        self, settings: Settings, store: JobStore, reserve: Reserve, obstacles: Obstacles | None = None
    ):
        super().__init__(name="housekeeping", daemon=True)
        self._settings, self._store, self._reserve = settings, store, reserve
        self._obstacles = obstacles or Obstacles(settings)
        self.standstill = StallWatchdog(store)
        self._stop_asked = threading.Event()
        self._tidied = float("-inf")

    def stop(self) -> None:
        self._stop_asked.set()

    def run(self) -> None:
        while not self._stop_asked.wait(LOOK_SECONDS):
            try:
                self.resume_when_possible()
                self.standstill.look()
                if time.monotonic() - self._tidied > TIDY_SECONDS:
                    self._tidied = time.monotonic()
                    self.clean_up()
            except Exception:
                log.exception("The studio could not tidy up")

    # ---- room

    def room_for_upload(self) -> None:
        """Raises `StorageError` where the uploads' folder or the disk is full."""
        if evict(self._settings.uploads, MAX_UPLOADS, UPLOAD_SECONDS) > MAX_UPLOADS:
            raise StorageError("Too many pictures were uploaded at once; try again in a few minutes.")
        if not self._has_room():
            raise StorageError("The disk is full, so no picture can be uploaded; free some space first.")

    def resume_when_possible(self) -> bool:
        """Resume a queue that the studio itself paused, once nothing stands in the way; whether it did."""
        if self._store.pause_reason is None or self._obstacles.found() or not self._has_room():
            return False
        try:
            self._store.resume()
        except WebbDuckError as error:
            log.warning("%s", error)
            return False
        self._reserve.create()
        log.info("Nothing stands in the way any more; the queue goes on")
        return True

    def _has_room(self) -> bool:
        """Whether `MIN_FREE_BYTES` bytes can be had. They are asked for: nothing else tells of a quota."""
        probe = self._settings.data_dir / "tmp" / f"room-{os.getpid()}.tmp"
        try:
            probe.parent.mkdir(exist_ok=True)
            with open(probe, "wb") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, MIN_FREE_BYTES)
                else:
                    file.truncate(MIN_FREE_BYTES)
                    file.seek(MIN_FREE_BYTES - 1)
                    file.write(b"\0")
            return True
        except OSError as error:
            log.debug("No room on the disk: %s", error)
            return False
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)

    # ---- tidying

    def clean_up(self) -> None:
        """Remove what is too old or too much: uploads, thumbnails, input pictures that nothing refers to."""
        evict(self._settings.uploads, MAX_UPLOADS, UPLOAD_SECONDS)
        evict(self._settings.thumbnails, MAX_THUMBNAILS)
        self._tidy_inputs()
        running = self._store.running()
        sweep(self._settings, frozenset({running.run} if running and running.run else ()))

    def _tidy_inputs(self) -> None:
        folder = self._settings.inputs
        old = [path for path in folder.glob("*.*") if FILE_ID.fullmatch(path.name)]
        old = [path for path in old if time.time() - path.stat().st_mtime > UNUSED_INPUT_SECONDS / 24]
        if not old:
            return
        owners = InputOwners(self._settings)
        unused = owners.marked() - self._store.input_references() - self._references_of_runs()
        unused = {name for name in unused if FILE_ID.fullmatch(name)}
        for name in [each for each in unused if owners.is_marked_by_others(each)]:
            owners.unmark(name)
            unused.discard(name)
        evict(
            folder,
            MAX_UNUSED_INPUTS,
            UNUSED_INPUT_SECONDS,
            keep=lambda path: path.name not in unused or path.parent != folder,
        )
        for name in unused:
            if not (folder / name).exists():
                owners.unmark(name)

    def _references_of_runs(self) -> set[str]:
        """Input pictures that finished pictures were made from, also those in the trash."""
        found: set[str] = set()
        places = (self._settings.outputs.glob(f"*/{META}"), self._trash().rglob(META))
        for meta in (each for place in places for each in place):
            with contextlib.suppress(OSError):
                found.update(name.decode() for name in REFERENCE.findall(meta.read_bytes()))
        return found

    def _trash(self) -> Path:
        return self._settings.data_dir / "trash"
