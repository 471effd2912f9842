"""Exports images as one zip file, byte for byte, so that their metadata is included."""

from __future__ import annotations

import re
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import NotFoundError, RequestError, StorageError
from ..settings import Settings
from ..storage.atomic import cannot_write
from .outputs import Outputs
from .run_layout import META

MAX_IMAGES = 5000
KEEP_SECONDS = 3600
NOT_PORTABLE = re.compile(r'[\\:*?"<>|]')
NAME = re.compile(r"webbduck-[0-9a-f]{12}\.zip")


def export(outputs: Outputs, settings: Settings, image_ids: Sequence[str]) -> Path:
    """Write the images (and the meta.json of their runs) to a new zip file; returns its path.

    Entries are named by image id, RUN/0.png, with _ for characters not allowed on Windows. The file is
    written to `exports` in the data folder, where the housekeeping removes it once it is `KEEP_SECONDS` old.
    Raises `NotFoundError` if an image is missing (nothing is written then), `RequestError` for none or too
    many, `StorageError`.
    """
    ids = list(dict.fromkeys(image_ids))
    if not 1 <= len(ids) <= MAX_IMAGES:
        raise RequestError(f"Choose from 1 to {MAX_IMAGES:,} pictures to export, not {len(ids):,}.")
    sources = {id: outputs.resolve(id) for id in ids}
    for run in sorted({id.rpartition("/")[0] for id in ids} - {""}):
        record = outputs.root / run / META
        if record.is_file() and not record.is_symlink():
            sources[f"{run}/{META}"] = record
    named = _portable(sources)
    folder = settings.data_dir / "exports"
    target = folder / f"webbduck-{uuid.uuid4().hex[:12]}.zip"
    try:
        folder.mkdir(exist_ok=True)
        # Images are compressed already.
        with zipfile.ZipFile(target, "x", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            for id, source in sources.items():
                archive.write(source, named[id])
    except FileNotFoundError as error:
        target.unlink(missing_ok=True)
        raise StorageError("A picture went away while it was exported; try again.") from error
    except OSError as error:
        target.unlink(missing_ok=True)
        raise StorageError(cannot_write(target, error)) from error
    return target


def _portable(ids: Iterable[str]) -> dict[str, str]:
    """Entry names in the zip file that are valid on Windows, too."""
    named: dict[str, str] = {}
    taken: set[str] = set()
    for id in sorted(ids, key=lambda id: NOT_PORTABLE.search(id) is not None):  # valid names keep theirs
        stem, dot, ending = NOT_PORTABLE.sub("_", id).rpartition(".")
        name, number = f"{stem}{dot}{ending}", 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}{dot}{ending}"
        taken.add(name)
        named[id] = name
    return named


def exported(settings: Settings, name: str) -> Path:
    """The zip file of this name written by `export`. Raises `NotFoundError` for anything else."""
    path = settings.data_dir / "exports" / name
    if not NAME.fullmatch(name) or not path.is_file():
        raise NotFoundError("This zip file is no longer there; export the pictures again.")
    return path
