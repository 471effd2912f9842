"""Hashes that other tools know model files by, computed in the background when nothing else wants the disk.

AutoV2, shown of checkpoints: the first 10 digits of the file's SHA-256 (AUTOMATIC1111's "Model hash").
AutoV3, shown of LoRAs: the first 12 digits of the SHA-256 of what follows the safetensors header.
Both are kept of every file, in full, since programs and sites name either of either.
What a file says about its own hash is not believed; see the metadata `sshs_model_hash`, which can be wrong.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..scan import stamp_of
from .catalog_db import CatalogCache
from .entries import Checkpoint, Lora

log = logging.getLogger(__name__)

Entry = TypeVar("Entry", Checkpoint, Lora)

AUTOV2, AUTOV3 = 10, 12
"""Digits."""
CHUNK = 4 * 2**20
PAUSE = 0.005
"""Seconds of rest after each chunk, so that a picture being made hardly notices."""


def autov2(path: Path) -> str:
    """Hash of a checkpoint file. Raises OSError."""
    return _shown(_digests(path, lambda: False), False) or ""


def autov3(path: Path) -> str:
    """Hash of a LoRA file's weights. Raises OSError."""
    return _shown(_digests(path, lambda: False), True) or ""


def _digests(path: Path, stop: Callable[[], bool]) -> str | None:
    """SHA-256 of the file and of its weights (what follows the safetensors header), with a space between;
    None when stopped. Raises OSError."""
    whole, weights = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file:
        header = 8 + int.from_bytes(file.read(8), "little")
        file.seek(0)
        while chunk := file.read(CHUNK):
            whole.update(chunk)
            weights.update(chunk[min(header, len(chunk)) :])
            header = max(0, header - len(chunk))
            if stop():
                return None
    return f"{whole.hexdigest()} {weights.hexdigest()}"


def _shown(digests: str | None, lora: bool) -> str | None:
    """The one that is shown, in short."""
    whole, _, weights = (digests or "").partition(" ")
    return (weights[:AUTOV3] if lora else whole[:AUTOV2]) or None


class Hashes:
    """Known hashes, and the thread that finds out the others, one file after the other."""

    def __init__(self, memory: CatalogCache):
        self._memory = memory
        self._known = memory.hashes()
        self._wanted: OrderedDict[Path, str] = OrderedDict()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.found: Callable[[], None] = lambda: None
        """Called when some became known and nothing is left to do."""

    def filled(self, entry: Entry) -> Entry:
        """A checkpoint or LoRA with the hashes of its file as it is now, as far as they are known."""
        digests = self._of(entry.path, entry.stamp)
        hashes = tuple((digests or "").split())
        return replace(entry, hash=_shown(digests, isinstance(entry, Lora)), hashes=hashes)

    def _of(self, path: Path, stamp: str) -> str | None:
        known = self._known.get(str(path))
        return known[1] if known and known[0] == stamp else None

    def schedule(self, path: Path, stamp: str) -> None:
        """Find this one out, some time."""
        with self._lock:
            self._wanted[path] = stamp
        self._wake.set()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="model-hashes", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        if sys.platform == "linux":
            # There a thread has a priority of its own.
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while not self._ended.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._work_off() and not self._ended.is_set():
                self.found()

    def _work_off(self) -> bool:
        some = False
        while not self._ended.is_set():
            with self._lock:
                if not self._wanted:
                    return some
                path, stamp = self._wanted.popitem(last=False)
            if self._of(path, stamp) is not None:
                continue
            try:
                known = _digests(path, lambda: self._ended.wait(PAUSE))
            except OSError as error:
                log.info("no hash of %s (%s)", path, error)
                continue
            # A file that changed meanwhile is asked for again with its new stamp.
            if known is not None and stamp_of(path) == stamp.partition("+")[0]:
                self._known[str(path)] = (stamp, known)
                self._memory.keep_hash(str(path), stamp, known)
                some = True
        return some
