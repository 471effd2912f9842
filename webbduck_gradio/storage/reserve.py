"""Disk reserve: lets a full disk still record an interrupted job, or a deletion."""

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
    """Whether the disk or a quota is exhausted."""
    return error.errno in FULL


class Reserve:
    """A file of `BYTES` that is deleted when the disk is full."""

    def __init__(self, path: Path):
        self._path = path

    def create(self) -> bool:
        """Create the file if missing; False if the disk is full."""
        with contextlib.suppress(OSError):
            if self._path.stat().st_size >= BYTES:
                return True
        try:
            with self._path.open("wb") as file:
                # Random data, since a sparse file would reserve nothing.
                file.write(os.urandom(BYTES))
        except OSError as error:
            log.debug("no disk reserve: %s", error)
            self.release()
            return not is_full(error)
        return True

    def release(self) -> None:
        """Free the space."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
