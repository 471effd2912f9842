"""Removes what a kill leaves behind: temporary files, zip exports, run folders without an image."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ..gallery.export import KEEP_SECONDS
from ..gallery.run_layout import META, is_run_name
from ..settings import Settings
from ..storage.moving import MOVING
from ..storage.temporaries import OLD_SECONDS, is_abandoned

log = logging.getLogger(__name__)


def sweep(settings: Settings, is_open: frozenset[str] = frozenset(), now: float | None = None) -> int:
    """Remove leftovers; returns the number of files. `is_open`: runs that a job still saves to."""
    now = time.time() if now is None else now
    removed = sweep_shared_folders(settings, now) + _remove_abandoned(_own_temporaries(settings), now)
    for path in (settings.data_dir / "exports").glob("*.zip"):
        with suppress(OSError):
            if now - path.stat().st_mtime > KEEP_SECONDS:
                path.unlink()
                removed += 1
    # The record of a run in the trash is needed to restore its images.
    in_trash = {folder.name for folder in (settings.data_dir / "trash").glob("*/*")}
    for folder in settings.outputs.iterdir():
        with suppress(OSError):
            if (
                is_run_name(folder.name)
                and folder.name not in is_open | in_trash
                and _has_only_a_record(folder, now)
            ):
                (folder / META).unlink()
                folder.rmdir()
                removed += 1
    if removed:
        log.info("Removed %d leftover file(s)", removed)
    return removed


def sweep_shared_folders(settings: Settings, now: float | None = None) -> int:
    """Remove abandoned temporary files from folders that other studios may share; returns their number."""
    return _remove_abandoned(
        (
            *(settings.inputs / ".tmp").glob("*.tmp"),
            *settings.loras.glob(".loras.json.*.tmp"),
            *(settings.checkpoints / "sdxl").glob(".models.json.*.tmp"),
        ),
        time.time() if now is None else now,
    )


def _own_temporaries(settings: Settings) -> Iterator[Path]:
    yield from settings.data_dir.glob("*.tmp")
    yield from (settings.data_dir / "tmp").glob("*.tmp")
    yield from settings.thumbnails.rglob("*.tmp")
    # Pictures that were on their way into the trash or out of it, where a run lies on another disk.
    yield from (settings.data_dir / "trash").rglob(f"{MOVING}*.tmp")
    yield from settings.outputs.glob(f"*/{MOVING}*.tmp")


def _remove_abandoned(paths: Iterable[Path], now: float) -> int:
    removed = 0
    for path in paths:
        with suppress(OSError):
            if is_abandoned(path, now):
                path.unlink()
                removed += 1
    return removed


def _has_only_a_record(folder: Path, now: float) -> bool:
    files = list(folder.iterdir())
    return [file.name for file in files] == [META] and now - files[0].stat().st_mtime > OLD_SECONDS
