"""Atomic file writes: after a crash or power cut there is either the old file or the new one."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import StorageError
from .moving import move_to_free_name
from .temporaries import temporary_name

log = logging.getLogger(__name__)


def write_atomically(
    path: Path,
    write: Callable[[BinaryIO], object],
    temporary: Path,
    fsync: bool = True,
    *,
    prefix: str = "",
    before_replace: Callable[[], object] | None = None,
    replace: bool = True,
) -> None:
    """Write a temporary file in `temporary` with `write`, then move it to `path` atomically.

    `temporary` must be on the same file system. `fsync` False is for caches, which need not survive a power
    cut. `prefix`: beginning of the temporary file's name. `before_replace` is called right before the move
    and may raise to prevent it. With `replace` False, an existing file is not replaced. Raises
    `StorageError`; the temporary file is always removed.
    """
    temp = temporary / temporary_name(prefix)
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        with temp.open("xb") as file:
            write(file)
            file.flush()
            if fsync:
                os.fsync(file.fileno())
        if before_replace is not None:
            before_replace()
        if replace:
            os.replace(temp, path)
        else:
            move_to_free_name(temp, path)
        if fsync:
            sync_folder(path.parent)
    except OSError as error:
        raise StorageError(cannot_write(path, error)) from error
    finally:
        with suppress(OSError):
            temp.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut. Windows has no such call and does not need it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # some network file systems do not support this
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def cannot_write(path: Path, error: OSError) -> str:
    """The error message for a failed write. Shown to clients, so only the log contains the folder."""
    log.warning("%s could not be written: %s", path, error)
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return f"{path.name} could not be saved because the disk is full; free some space."
    reason = (error.strerror or error.__class__.__name__).lower()
    return f"{path.name} could not be saved ({reason}); check the permissions of its folder."
