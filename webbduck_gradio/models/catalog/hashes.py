"""Hashes by which other tools identify model files, computed slowly in the background.

AutoV2, shown for checkpoints: the first 10 digits of the file's SHA-256 (AUTOMATIC1111's "Model hash").
AutoV3, shown for LoRAs: the first 12 digits of the SHA-256 of the data after the safetensors header.
Embeddings are shown with the first 12 digits of the file's SHA-256, as AUTOMATIC1111's "TI hashes".
Both are stored in full for every file, since other programs and sites use either.
The hash stated in a file's metadata (`sshs_model_hash`) is not trusted, as it can be wrong.
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

from ..embeddings import Embedding
from ..scan import stamp_of
from .catalog_db import CatalogCache
from .entries import Checkpoint, Lora

log = logging.getLogger(__name__)

Entry = TypeVar("Entry", Checkpoint, Lora, Embedding)

AUTOV2, AUTOV3 = 10, 12
"""Number of hex digits."""
CHUNK = 4 * 2**20
PAUSE = 0.005
"""Seconds to sleep after each chunk, so that image generation is hardly slowed down."""


def autov2(path: Path) -> str:
    """Hash of a checkpoint file. Raises OSError."""
    return _short_hash(_digests(path, lambda: False), False) or ""


def autov3(path: Path) -> str:
    """Hash of a LoRA file's weights. Raises OSError."""
    return _short_hash(_digests(path, lambda: False), True) or ""


def _digests(path: Path, stop: Callable[[], bool]) -> str | None:
    """SHA-256 of the file and of its weights (the data after the safetensors header), separated by a space;
    None if stopped. Raises OSError."""
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


def _short_hash(digests: str | None, lora: bool) -> str | None:
    """AutoV3 of a LoRA, AutoV2 of a checkpoint."""
    whole, _, weights = (digests or "").partition(" ")
    return (weights[:AUTOV3] if lora else whole[:AUTOV2]) or None


class Hashes:
    """Known hashes, and a thread that computes the others, one file at a time."""

    def __init__(self, memory: CatalogCache):
        self._memory = memory
        self._known = memory.hashes()
        self._queue: OrderedDict[Path, str] = OrderedDict()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.found: Callable[[], None] = lambda: None
        """Called after new hashes were computed and the queue is empty."""

    def filled(self, entry: Entry) -> Entry:
        """The entry with the known hashes of its file."""
        digests = self._of(entry.path, entry.stamp)
        if digests is None and not entry.hashes:
            return entry
        hashes = tuple((digests or "").split())
        if isinstance(entry, Embedding):
            return replace(entry, hashes=hashes)
        return replace(entry, hash=_short_hash(digests, isinstance(entry, Lora)), hashes=hashes)

    def of_file(self, path: Path, stamp: str) -> tuple[str | None, tuple[str, ...]]:
        """AutoV2 of a file, and the SHA-256 of it and of its weights; None and () until computed."""
        digests = self._of(path, stamp)
        return _short_hash(digests, False), tuple((digests or "").split())

    def _of(self, path: Path, stamp: str) -> str | None:
        known = self._known.get(str(path))
        return known[1] if known and known[0] == stamp else None

    def schedule(self, path: Path, stamp: str) -> None:
        """Queue this file for hashing in the background."""
        with self._lock:
            self._queue[path] = stamp
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
            # On Linux, a thread has its own priority.
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while not self._ended.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._process_queue() and not self._ended.is_set():
                self.found()

    def _process_queue(self) -> bool:
        has_new = False
        while not self._ended.is_set():
            with self._lock:
                if not self._queue:
                    return has_new
                path, stamp = self._queue.popitem(last=False)
            if self._of(path, stamp) is not None:
                continue
            try:
                known = _digests(path, lambda: self._ended.wait(PAUSE))
            except OSError as error:
                log.info("no hash of %s (%s)", path, error)
                continue
            # A file that changed meanwhile will be scheduled again with its new stamp.
            if known is not None and stamp_of(path) == stamp.partition("+")[0]:
                self._known[str(path)] = (stamp, known)
                self._memory.keep_hash(str(path), stamp, known)
                has_new = True
        return has_new
