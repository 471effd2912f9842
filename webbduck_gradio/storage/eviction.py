"""Evicts cache files (thumbnails, uploads) by age and total size."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

GRACE_SECONDS = 600.0
"""Files younger than this are never evicted."""


def files_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """All files below `folder`, without following links. Files that vanish meanwhile are skipped."""
    folders = [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    with suppress(OSError):
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(Path(entry.path))
                        else:
                            yield Path(entry.path), entry.stat(follow_symlinks=False)
        except OSError:
            continue


def size_of(folder: Path) -> int:
    """Total size of all files below `folder` in bytes."""
    return sum(status.st_size for _, status in files_in(folder))


def evict(
    folder: Path,
    max_bytes: int,
    max_age: float | None = None,
    keep: Callable[[Path], bool] = lambda path: False,
    now: float | None = None,
) -> int:
    """Remove files older than `max_age` seconds, then the oldest until `max_bytes` are left.

    Never removes files for which `keep` is true or that are younger than `GRACE_SECONDS`. Returns the total
    size of the remaining files, without those that are kept.
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
