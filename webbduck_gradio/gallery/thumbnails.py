"""Small copies for the page: made once, kept, a few at a time, never the full picture instead."""

from __future__ import annotations

import hashlib
import io
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StorageError
from ..settings import Settings
from ..storage.atomic import write_atomically
from ..storage.images import open_picture, shrunk
from ..storage.reading import read_regular
from .outputs import Outputs

SIDES = (256, 384)
"""Longest side in pixels that a thumbnail can have."""
QUALITY = 80
MAX_BYTES = 2 * 2**20
"""No thumbnail is larger."""
SEAL = b"CRC "
"""Kind of the chunk at the end of our thumbnails. Readers of WebP pass over kinds that they do not know."""


class Thumbnails:
    """WebP thumbnails of the gallery's pictures in `settings.thumbnails`."""

    def __init__(self, settings: Settings, outputs: Outputs):
        self._folder = settings.thumbnails
        self._outputs = outputs
        self._places = threading.BoundedSemaphore(settings.thumb_concurrency)
        self._lock = threading.Lock()
        self._locks: dict[Path, threading.Lock] = {}

    def thumbnail(self, image_id: str, side: int = 384) -> Path:
        """The file of the thumbnail, made when it is not there yet.

        Raises `NotFoundError` for what is no picture of the gallery and `StorageError` where the picture is
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
            small = shrunk(image, side, name)
        buffer = io.BytesIO()
        small.save(buffer, format="WEBP", quality=QUALITY, method=2)
        sealed = _sealed(buffer.getvalue())
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, lambda file: file.write(sealed), self._outputs.temporary, lasting=False)

    @contextmanager
    def _one_at_a_time(self, target: Path) -> Iterator[None]:
        """Who asks for a thumbnail that is being made waits for it instead of making it again."""
        with self._lock:
            lock = self._locks.setdefault(target, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._locks.pop(target, None)


def _sealed(data: bytes) -> bytes:
    """A WebP file with a last chunk that holds the CRC-32 of all others, by which damage is found."""
    chunks = data[12:]
    chunks += SEAL + (4).to_bytes(4, "little") + zlib.crc32(chunks).to_bytes(4, "little")
    return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks


def _is_whole(file: Path) -> bool:
    """Whether it is there as it was written: nobody waited for the disk, so that a power cut can leave a
    part of it, or zeros in its place."""
    try:
        data = read_regular(file, MAX_BYTES)
    except (OSError, ValueError):
        return False
    return len(data) > 24 and data == _sealed(data[:-12])
