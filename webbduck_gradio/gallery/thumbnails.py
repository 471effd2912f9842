"""Small copies for the page: made once, kept, a few at a time, never the full picture instead."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from ..errors import StorageError
from ..images import open_picture, plain
from ..settings import Settings
from .files import write_atomically
from .storage import Outputs

SIDES = (256, 384)
"""Longest side in pixels that a thumbnail can have."""
QUALITY = 80


class Thumbnails:
    """WebP thumbnails of the gallery's pictures in `settings.thumbnails`."""

    def __init__(self, settings: Settings, outputs: Outputs):
        self._folder = settings.thumbnails
        self._outputs = outputs
        self._places = threading.BoundedSemaphore(settings.thumb_concurrency)
        self._lock = threading.Lock()
        self._in_work: dict[Path, threading.Lock] = {}

    def thumbnail(self, image_id: str, side: int = 384) -> Path:
        """The file of the thumbnail, made when it is not there yet.

        Raises `UnknownName` for what is no picture of the gallery and `StorageError` where the picture is
        broken, too large, or the thumbnail cannot be written.
        """
        return self.of_file(self._outputs.resolve(image_id), image_id, side)

    def of_file(self, source: Path, name: str, side: int = 384) -> Path:
        """As `thumbnail`, for a file that the caller has already checked; `name` is for messages."""
        if side not in SIDES:
            raise StorageError(f"Thumbnails are {' or '.join(map(str, SIDES))} pixels wide, not {side}.")
        target = self._target(source, name, side)
        if _is_whole(target):
            return target
        with self._one_at_a_time(target), self._places:
            if not _is_whole(target):
                self._make(source, name, side, target)
        return target

    def _target(self, source: Path, name: str, side: int) -> Path:
        try:
            stat = source.stat()
        except OSError:
            raise StorageError(f"{name} is no longer there.") from None
        key = hashlib.sha256(f"{name}\0{stat.st_mtime_ns}\0{stat.st_size}\0{side}".encode()).hexdigest()
        return self._folder / key[:2] / f"{key[2:34]}.webp"

    def _make(self, source: Path, name: str, side: int, target: Path) -> None:
        with open_picture(source, name) as image:
            image.draft("RGB", (side, side))  # JPEG only: decode at a fraction of the size
            small = plain(image)
            small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(
            target,
            lambda file: small.save(file, format="WEBP", quality=QUALITY, method=2),
            self._outputs.temporary,
            lasting=False,
        )

    @contextmanager
    def _one_at_a_time(self, target: Path) -> Iterator[None]:
        """Who asks for a thumbnail that is being made waits for it instead of making it again."""
        with self._lock:
            lock = self._in_work.setdefault(target, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._in_work.pop(target, None)


def _is_whole(file: Path) -> bool:
    """Whether it is there with all that its header announces: nobody waited for the disk, so that a power
    cut can leave a part of it."""
    try:
        with file.open("rb") as opened:
            head = opened.read(12)
            size = os.fstat(opened.fileno()).st_size
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:] == b"WEBP" and int.from_bytes(head[4:8], "little") + 8 <= size
