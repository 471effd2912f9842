"""Moving files so that nothing that is there is ever replaced."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def move_to_free_name(source: Path, target: Path) -> None:
    """Move a file to a name that nothing has; the folder of `target` is made where it is missing.

    Raises `FileExistsError` where something has the name, also where it came in this very moment, and
    `OSError`; the file is then where it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.name == "nt":
        os.rename(source, target)  # refuses there by itself
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EXDEV:
            _copy_over(source, target)
        elif error.errno in NO_LINKS:
            # A file system without links, as on many memory cards; the check is the best that can be had.
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "exists", str(target)) from None
            os.rename(source, target)
            return
        else:
            raise
    os.unlink(source)


def _copy_over(source: Path, target: Path) -> None:
    """From another file system: a whole copy under a temporary name first."""
    part = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        shutil.copy2(source, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.link(part, target)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
