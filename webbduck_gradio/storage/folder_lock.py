"""The lock of a folder, and what writes files and opens pictures."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

from ..errors import SettingsError
from .atomic import cannot_write, sync_folder, write_atomically
from .images import open_picture

__all__ = ["FolderLock", "cannot_write", "open_picture", "sync_folder", "write_atomically"]

log = logging.getLogger(__name__)


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
