"""Writing files so that a crash leaves the old one or the new one, and opening pictures safely."""

from __future__ import annotations

import errno
import logging
import os
import struct
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from ..errors import SettingsError, StorageError

log = logging.getLogger(__name__)

MAX_PICTURE_PIXELS = 178_956_970
"""Largest picture that is opened: twice Pillow's own warning level, where Pillow itself refuses."""

# The warning at half that size is replaced by the refusal in `open_picture`.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], temporary: Path, lasting: bool = True
) -> None:
    """Have `write` fill a new file in the folder `temporary`, then move it to `path` in one step.

    `lasting` False does not wait for the disk, for what can be made again. `temporary`
    must be on the same file system. Raises `StorageError`; the temporary file never stays.
    """
    temp = temporary / f"{uuid.uuid4().hex}.tmp"
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        with temp.open("xb") as file:
            write(file)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        os.replace(temp, path)
        if lasting:
            sync_folder(path.parent)
    except OSError as error:
        raise StorageError(cannot_write(path, error)) from error
    finally:
        with suppress(OSError):
            temp.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # some network file systems know no fsync of folders
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def cannot_write(path: Path, error: OSError) -> str:
    """One sentence for a file that could not be written. Clients read it: the log alone tells the folder."""
    log.warning("%s could not be written: %s", path, error)
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return f"{path.name} could not be saved because the disk is full; free some space."
    reason = (error.strerror or error.__class__.__name__).lower()
    return f"{path.name} could not be saved ({reason}); check the permissions of its folder."


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
