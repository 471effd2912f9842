"""Thumbnails for the page: cached on disk, created a few at a time."""

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
from ..storage.images import FORMATS, WITH_GIF, open_picture, shrunk
from ..storage.reading import read_regular
from .outputs import Outputs

SIDES = (256, 384)
"""Allowed lengths of a thumbnail's longest side, in pixels."""
QUALITY = 80
MAX_BYTES = 2 * 2**20
"""No thumbnail is larger."""
CHECKSUM_CHUNK = b"CRC "
"""RIFF chunk at the end of our thumbnails. WebP readers skip unknown chunks."""


class Thumbnails:
    """WebP thumbnails of gallery images in `settings.thumbnails`."""

    def __init__(self, settings: Settings, outputs: Outputs):
        self._folder = settings.thumbnails
        self._outputs = outputs
        self._slots = threading.BoundedSemaphore(settings.thumb_concurrency)
        self._lock = threading.Lock()
        self._locks: dict[Path, threading.Lock] = {}

    def thumbnail(self, image_id: str, side: int = 384) -> Path:
        """The thumbnail file, created if needed.

        Raises `NotFoundError` for an unknown image and `StorageError` if the image is broken or too large, or
        the thumbnail cannot be written.
        """
        return self.of_file(self._outputs.resolve(image_id), image_id, side)

    def of_preview(self, source: Path, name: str) -> Path:
        """As `of_file`, for a picture beside a model, which may be a GIF; of an animation the first frame."""
        return self.of_file(source, name, formats=WITH_GIF)

    def of_file(self, source: Path, name: str, side: int = 384, formats: tuple[str, ...] = FORMATS) -> Path:
        """As `thumbnail`, for a file that the caller has already checked; `name` is for messages."""
        if side not in SIDES:
            raise StorageError(f"Thumbnails are {' or '.join(map(str, SIDES))} pixels wide, not {side}.")
        target = self._target(source, name, side)
        if _is_intact(target):
            return target
        with self._one_at_a_time(target), self._slots:
            if not _is_intact(target):
                self._make(source, name, side, target, formats)
        return target

    def _target(self, source: Path, name: str, side: int) -> Path:
        try:
            stat = source.stat()
        except OSError:
            raise StorageError(f"{name} is no longer there.") from None
        key = hashlib.sha256(f"{name}\0{stat.st_mtime_ns}\0{stat.st_size}\0{side}".encode()).hexdigest()
        return self._folder / key[:2] / f"{key[2:34]}.webp"

    def _make(self, source: Path, name: str, side: int, target: Path, formats: tuple[str, ...]) -> None:
        with open_picture(source, name, formats) as image:
            small = shrunk(image, side, name)
        buffer = io.BytesIO()
        small.save(buffer, format="WEBP", quality=QUALITY, method=2)
        sealed = _with_checksum(buffer.getvalue())
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, lambda file: file.write(sealed), self._outputs.temporary, fsync=False)

    @contextmanager
    def _one_at_a_time(self, target: Path) -> Iterator[None]:
        """Serialise requests for the same thumbnail, so that it is created only once."""
        with self._lock:
            lock = self._locks.setdefault(target, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._locks.pop(target, None)


def _with_checksum(data: bytes) -> bytes:
    """The WebP file with an appended chunk that holds the CRC-32 of all others, to detect damage."""
    chunks = data[12:]
    chunks += CHECKSUM_CHUNK + (4).to_bytes(4, "little") + zlib.crc32(chunks).to_bytes(4, "little")
    return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks


def _is_intact(file: Path) -> bool:
    """Whether the file exists undamaged. Thumbnails are written without fsync, so a power cut can truncate
    or zero them."""
    try:
        data = read_regular(file, MAX_BYTES)
    except (OSError, ValueError):
        return False
    return len(data) > 24 and data == _with_checksum(data[:-12])
