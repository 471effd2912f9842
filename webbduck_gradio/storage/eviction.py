"""Folders of files that can be made again or are waited for by no one: kept below a size and an age."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

GRACE_SECONDS = 600.0
"""Seconds for which a file is in use, by whoever has just made or sent it, and not removed."""


def files_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every file below `folder`, links not followed. What vanishes meanwhile is left out."""
    left = [folder]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    with suppress(OSError):
                        if entry.is_dir(follow_symlinks=False):
                            left.append(Path(entry.path))
                        else:
                            yield Path(entry.path), entry.stat(follow_symlinks=False)
        except OSError:
            continue


def size_of(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(status.st_size for _, status in files_in(folder))


def evict(
    folder: Path,
    max_bytes: int,
    max_age: float | None = None,
    keep: Callable[[Path], bool] = lambda path: False,
    now: float | None = None,
) -> int:
    """Remove files older than `max_age` seconds, then the oldest until `max_bytes` are left.

    Never removes what `keep` names or is younger than `GRACE_SECONDS`. Returns the bytes that remain, of
    files that could be removed.
    """
    now = time.time() if now is None else now
    found = sorted(
        (status.st_mtime, status.st_size, path) for path, status in files_in(folder) if not keep(path)
    )
    total = sum(size for _, size, _ in found)
    removed = 0
    for modified, size, path in found:
        age = now - modified
        too_old = max_age is not None and age > max_age
        if age < GRACE_SECONDS or not (too_old or total > max_bytes):
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s could not be removed: %s", path, error)
            continue
        total -= size
        removed += 1
        if path.parent != folder:
            with suppress(OSError):  # not empty
                path.parent.rmdir()
    if removed:
        log.info("Removed %d old files from %s", removed, folder)
    return total
