"""The lock of a folder: one studio at a time uses it."""

from __future__ import annotations

import logging
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import SettingsError

log = logging.getLogger(__name__)


class FolderLock:
    """A file that one process holds; the system lets go of it when the process ends, however it ends."""

    def __init__(self, path: Path):
        """Raises `SettingsError` where another process holds it, `OSError` where the file cannot be made."""
        path.touch()
        # Where a file system has no locks, a soft one would outlive a killed process.
        self._lock = FileLock(path, blocking=False, thread_local=False, fallback_to_soft=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise SettingsError(
                f"Another WebbDuck already uses the folder {path.parent.parent}; "
                "close it or choose another with --output."
            ) from None
        except OSError as error:
            log.warning("this file system has no locks (%s); start only one studio on it", error)

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()
