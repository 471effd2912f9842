"""Atomic file writes: after a crash or power cut there is either the old file or the new one."""

from __future__ import annotations

import errno
import functools
import hashlib
import logging
import os
import re
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import psutil

from ..errors import StorageError
from .moving import move_to_free_name

log = logging.getLogger(__name__)

OLD_SECONDS = 3600.0
"""Age from which a temporary file is abandoned, whichever process created it."""
TEMPORARY = re.compile(r"([0-9a-f]{12})-(\d+)-[0-9a-f]{32}\.tmp$")


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
    temp = temporary / f"{prefix}{_machine()}-{os.getpid()}-{uuid.uuid4().hex}.tmp"
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


def is_abandoned(path: Path, now: float | None = None) -> bool:
    """Whether a temporary file is no longer being written: its process has ended, or it is old.

    Its name contains the process id, which can be checked on the same machine only; otherwise its age
    decides. Raises `OSError`.
    """
    writer = TEMPORARY.search(path.name)
    if writer and writer[1] == _machine() and not psutil.pid_exists(int(writer[2])):
        return True
    return (time.time() if now is None else now) - path.lstat().st_mtime > OLD_SECONDS


@functools.cache
def _machine() -> str:
    """Identifies host and PID namespace, within which process ids are valid."""
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        processes = ""
    return hashlib.sha256(f"{socket.gethostname()} {processes}".encode()).hexdigest()[:12]


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
