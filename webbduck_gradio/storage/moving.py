"""Moves files without ever replacing an existing one."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from .temporaries import temporary_name

MOVING = ".moving-"
"""How the name of a file begins that is being copied to another file system, beside its target."""
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def move_to_free_name(source: Path, target: Path) -> None:
    """Move a file to a free name; the folder of `target` is created if missing.

    Raises `FileExistsError` if the name is taken, without a race, and `OSError`; the file has not moved then.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.name == "nt":
        os.rename(source, target)  # fails on Windows if the target exists
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EXDEV:
            _copy_and_link(source, target)
        elif error.errno in NO_LINKS:
            # No hard links, as on many memory cards: a check, with a race, is the best possible.
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "exists", str(target)) from None
            os.rename(source, target)
            return
        else:
            raise
    os.unlink(source)


def _copy_and_link(source: Path, target: Path) -> None:
    """Move across file systems, via a complete copy under a temporary name."""
    part = target.with_name(temporary_name(MOVING))
    try:
        shutil.copy2(source, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.link(part, target)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
