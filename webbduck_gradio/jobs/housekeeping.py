"""Evicts temporary files, and resumes a queue that the studio paused once the cause is gone."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
from pathlib import Path

from ..errors import StorageError, WebbDuckError
from ..gallery.input_image_names import InputNames
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
"""Uploads that no job has used for this long are removed; a job copies its files to the input folder."""
MAX_THUMBNAILS = 1024 * MEBIBYTE
MAX_KERNELS = 1024 * MEBIBYTE
"""Bytes of compiled blocks; those that are missing are compiled again."""
MAX_UNUSED_INPUTS = 1024 * MEBIBYTE
"""Bytes of input images that no job and no run refers to."""
UNUSED_INPUT_SECONDS = 24 * 3600.0
MIN_FREE_BYTES = 48 * MEBIBYTE
"""Free space needed to resume a queue that was paused because the disk was full: a few large images."""
CHECK_SECONDS = 5.0
CLEAN_UP_SECONDS = 600.0
REFERENCE = re.compile(INPUT_IMAGE_ID.encode())


class Housekeeping(threading.Thread):
    """Background thread that checks the queue and cleans up periodically."""

    def __init__(
        self, settings: Settings, store: JobStore, reserve: Reserve, obstacles: Obstacles | None = None
    ):
        super().__init__(name="housekeeping", daemon=True)
        self._settings, self._store, self._reserve = settings, store, reserve
        self._obstacles = obstacles or Obstacles(settings)
        self.stall_watchdog = StallWatchdog(store)
        self._stopping = threading.Event()
        self._last_clean_up = float("-inf")

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            try:
                self.resume_when_possible()
                self.stall_watchdog.check()
                if time.monotonic() - self._last_clean_up > CLEAN_UP_SECONDS:
                    self._last_clean_up = time.monotonic()
                    self.clean_up()
            except Exception:
                log.exception("Housekeeping failed")

    # ---- disk space

    def check_upload_space(self) -> None:
        """Raises `StorageError` if the upload folder or the disk is full."""
        if evict(self._settings.uploads, MAX_UPLOADS, UPLOAD_SECONDS) > MAX_UPLOADS:
            raise StorageError("Too many pictures were uploaded at once; try again in a few minutes.")
        if not self._has_space():
            raise StorageError("The disk is full, so no picture can be uploaded; free some space first.")

    def resume_when_possible(self) -> bool:
        """Resume a queue that the studio itself paused, if the cause is gone; whether it did."""
        if self._store.pause_reason is None or self._obstacles.found() or not self._has_space():
            return False
        try:
            self._store.resume()
        except WebbDuckError as error:
            log.warning("%s", error)
            return False
        self._reserve.create()
        log.info("The cause of the pause is gone; the queue is resumed")
        return True

    def _has_space(self) -> bool:
        """Whether `MIN_FREE_BYTES` can be allocated. Tried with a file, the only way to detect a quota."""
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
            log.debug("No space on the disk: %s", error)
            return False
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)

    # ---- eviction

    def clean_up(self) -> None:
        """Evict uploads, thumbnails, compiled blocks and unreferenced input images by age and size, and
        remove leftovers."""
        evict(self._settings.uploads, MAX_UPLOADS, UPLOAD_SECONDS)
        evict(self._settings.thumbnails, MAX_THUMBNAILS)
        evict(self._settings.kernels, MAX_KERNELS)
        self._evict_inputs()
        self._store.sweep_unfinished()
        running = self._store.running()
        sweep(self._settings, frozenset({running.run} if running and running.run else ()))

    def _evict_inputs(self) -> None:
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
                InputNames(self._settings).forget(name)

    def _references_of_runs(self) -> set[str]:
        """Input images of all runs, those in the trash included."""
        found: set[str] = set()
        places = (self._settings.outputs.glob(f"*/{META}"), self._trash().rglob(META))
        for meta in (each for place in places for each in place):
            with contextlib.suppress(OSError):
                found.update(name.decode() for name in REFERENCE.findall(meta.read_bytes()))
        return found

    def _trash(self) -> Path:
        return self._settings.data_dir / "trash"
