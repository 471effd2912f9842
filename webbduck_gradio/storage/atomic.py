"""Writing files so that a crash or a power cut leaves the old one or the new one."""

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
"""Age from which a temporary file belongs to no write that still goes on, whoever began it."""
TEMPORARY = re.compile(r"([0-9a-f]{12})-(\d+)-[0-9a-f]{32}\.tmp$")


def write_atomically(
    path: Path,
    write: Callable[[BinaryIO], object],
    temporary: Path,
    lasting: bool = True,
    *,
    prefix: str = "",
    last_look: Callable[[], object] | None = None,
    replace: bool = True,
) -> None:
    """Have `write` fill a new file in the folder `temporary`, then move it to `path` in one step.

    `lasting` False does not wait for the disk, for what can be made again. `temporary`
    must be on the same file system. `prefix` begins the temporary file's name; `last_look` is called
    right before the move and may raise to prevent it; without `replace` nothing that is there is replaced.
    Raises `StorageError`; the temporary file never stays.
    """
    temp = temporary / f"{prefix}{_machine()}-{os.getpid()}-{uuid.uuid4().hex}.tmp"
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        with temp.open("xb") as file:
            write(file)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        if last_look is not None:
            last_look()
        if replace:
            os.replace(temp, path)
        else:
            move_to_free_name(temp, path)
        if lasting:
            sync_folder(path.parent)
    except OSError as error:
        raise StorageError(cannot_write(path, error)) from error
    finally:
        with suppress(OSError):
            temp.unlink(missing_ok=True)


def is_abandoned(path: Path, now: float | None = None) -> bool:
    """Whether nobody writes this temporary file any more: its writer is gone, or it is old.

    Its name tells the writer's process, which can be looked for on the same machine alone; elsewhere the
    age decides. Raises `OSError`.
    """
    writer = TEMPORARY.search(path.name)
    if writer and writer[1] == _machine() and not psutil.pid_exists(int(writer[2])):
        return True
    return (time.time() if now is None else now) - path.lstat().st_mtime > OLD_SECONDS


@functools.cache
def _machine() -> str:
    """Stands for all processes that this one can see: a container has numbers of its own for them."""
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        processes = ""
    return hashlib.sha256(f"{socket.gethostname()} {processes}".encode()).hexdigest()[:12]


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
