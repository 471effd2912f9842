"""A little space kept back: a full disk can still take the record of what it interrupted, or a deletion."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

BYTES = 2 * 2**20
"""The queue's database and a run's meta.json need a few kilobytes each."""


FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def is_full(error: OSError) -> bool:
    """Whether the disk, or a quota, had no room."""
    return error.errno in FULL


class Reserve:
    """A file of `BYTES` that is given up when the disk is full."""

    def __init__(self, path: Path):
        self._path = path

    def create(self) -> bool:
        """Make the file where it is not there; False where the disk has no room for it."""
        with contextlib.suppress(OSError):
            if self._path.stat().st_size >= BYTES:
                return True
        try:
            with self._path.open("wb") as file:
                # Written, not only made long: a hole takes no space.
                file.write(os.urandom(BYTES))
        except OSError as error:
            log.debug("No space is kept back: %s", error)
            self.release()
            return not is_full(error)
        return True

    def release(self) -> None:
        """Free the space."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
