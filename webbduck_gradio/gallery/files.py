"""Opening pictures safely, and the lock of a folder."""

from __future__ import annotations

import errno
import logging
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from ..errors import SettingsError, StorageError
from ..storage.atomic import cannot_write, sync_folder, write_atomically

__all__ = ["FolderLock", "cannot_write", "open_picture", "sync_folder", "write_atomically"]

log = logging.getLogger(__name__)

MAX_PICTURE_PIXELS = 178_956_970
"""Largest picture that is opened: twice Pillow's own warning level, where Pillow itself refuses."""

# The warning at half that size is replaced by the refusal in `open_picture`.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@contextmanager
def open_picture(path: Path | BinaryIO, name: str) -> Iterator[Image.Image]:
    """Open a picture lazily; only the header is read before the block asks for more.

    `name` is how messages call it. Raises `StorageError` where it is gone, broken or too large, also for
    what goes wrong while the block decodes it.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PICTURE_PIXELS:
                raise StorageError(_too_large(name))
            yield image
    except FileNotFoundError:
        raise StorageError(f"{name} is no longer there.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise StorageError(_too_large(name)) from None
    except UnidentifiedImageError:
        raise StorageError(f"{name} is not a readable picture; the file may be damaged.") from None
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, struct.error) as error:
        # Pillow's plug-ins raise any of these on damaged files.
        log.info("could not read %s", path, exc_info=error)
        raise StorageError(f"{name} cannot be read; the file may be damaged.") from error


def _too_large(name: str) -> str:
    return f"{name} has more than {MAX_PICTURE_PIXELS // 10**6} megapixels and is not opened."


class FolderLock:
    """A file that one process holds; the system lets go of it when the process ends, however it ends."""

    def __init__(self, path: Path):
        self._file = path.open("a+b")
        try:
            if os.name == "nt":
                import msvcrt

                self._file.seek(0)
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            else:
                import fcntl

                fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                log.warning("this file system has no locks (%s); start only one studio on it", error)
                return
            raise SettingsError(
                f"Another WebbDuck already uses the folder {path.parent.parent}; "
                "close it or choose another with --output."
            ) from None

    def release(self) -> None:
        """Let go of it."""
        self._file.close()
