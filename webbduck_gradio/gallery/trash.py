"""Deleting with a way back: pictures and runs move to `.webbduck/trash/` until it is emptied.

Each deletion is an entry: a folder with the files and `entry.json`, which is written before anything moves,
so that a crash in between leaves every file either in its place or in a trash that knows where it belongs.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from ..errors import StorageError, UnknownName
from ..settings import Settings
from .files import cannot_write, sync_folder, write_atomically
from .storage import META, Outputs, is_image_id

log = logging.getLogger(__name__)
ENTRY = "entry.json"


@dataclass(frozen=True)
class TrashEntry:
    """One deletion. `images` are the ids that its pictures had, and have again once restored."""

    id: str
    deleted: float
    images: tuple[str, ...]


class Trash:
    """What was deleted from the gallery and can come back."""

    def __init__(self, settings: Settings, outputs: Outputs):
        self._folder = settings.private / "trash"
        self._outputs = outputs

    def delete_image(self, image_id: str) -> TrashEntry:
        """Move one picture to the trash. Raises `UnknownName`, `StorageError`."""
        self._outputs.resolve(image_id)
        return self._delete([image_id])

    def delete_images(self, image_ids: list[str]) -> TrashEntry:
        """Move a selection to the trash, as one entry. Nothing moves when one of them is unknown."""
        for image_id in image_ids:
            self._outputs.resolve(image_id)
        return self._delete(list(dict.fromkeys(image_ids)))

    def delete_run(self, run_id: str) -> TrashEntry:
        """Move all pictures of a run to the trash. Other files in its folder stay where they are."""
        return self._delete(self._outputs.images_of(run_id))

    def entries(self) -> list[TrashEntry]:
        """What is in the trash, newest first."""
        found = [self._read(folder.name) for folder in self._folders()]
        return sorted((entry for entry in found if entry), key=lambda entry: entry.deleted, reverse=True)

    def restore(self, entry_id: str) -> tuple[str, ...]:
        """Put everything of an entry back under its old ids; answer these. Raises `StorageError` where a file
        of that name is there by now; then nothing is moved."""
        entry = self._entry(entry_id)
        folder = self._folder / entry_id
        taken = next((image for image in entry.images if (self._outputs.root / image).exists()), None)
        if taken:
            raise StorageError(f"{taken} cannot be restored because there is another file of that name.")
        runs = {image.rpartition("/")[0] for image in entry.images}
        for run in sorted(runs):
            self._move_meta(folder / "meta" / run / META, self._outputs.root / run / META)
        for image in entry.images:
            _move(folder / image, self._outputs.root / image)
        shutil.rmtree(folder, ignore_errors=True)
        self._outputs.changed(*runs)
        return entry.images

    def path(self, entry_id: str, image_id: str) -> Path:
        """The file of a deleted picture, for its thumbnail. Raises `UnknownName`."""
        path = self._folder / self._entry(entry_id).id / image_id
        if image_id not in self._entry(entry_id).images or not path.is_file():
            raise UnknownName("This picture is no longer in the trash.")
        return path

    def size_bytes(self) -> int:
        """What emptying the trash would free, in bytes."""
        return sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())

    def empty(self) -> int:
        """Delete for good all that is in the trash; answer the number of pictures."""
        count = 0
        for folder in self._folders():
            entry = self._read(folder.name)
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise StorageError(cannot_write(folder, error)) from error
            count += len(entry.images) if entry else 0
        return count

    def _delete(self, images: list[str]) -> TrashEntry:
        now = time.time()
        entry = TrashEntry(time.strftime("%Y%m%d-%H%M%S-") + uuid.uuid4().hex[:8], now, tuple(images))
        folder = self._folder / entry.id
        record = json.dumps({"deleted": now, "images": images}, ensure_ascii=False).encode()
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise StorageError(cannot_write(folder, error)) from error
        write_atomically(folder / ENTRY, lambda file: file.write(record), self._outputs.temporary)
        runs = {image.rpartition("/")[0] for image in images}
        try:
            for image in images:
                _move(self._outputs.root / image, folder / image)
            for run in sorted(runs - {""}):
                self._keep_meta(run, folder)
        finally:  # also where it stopped half-way: what has moved is in the trash
            self._outputs.changed(*runs)
        return entry

    def _keep_meta(self, run: str, folder: Path) -> None:
        """Keep the record with the deleted pictures; a run without pictures goes, its record only then."""
        source, copy = self._outputs.root / run, folder / "meta" / run / META
        if not (source / META).is_file():
            return
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / META, copy)
        if {name for name in os.listdir(source)} == {META} and not self._outputs.is_open(run):
            (source / META).unlink()
            source.rmdir()

    def _move_meta(self, copy: Path, target: Path) -> None:
        if copy.is_file() and not target.exists():
            _move(copy, target)

    def _folders(self) -> list[Path]:
        return [path for path in self._folder.glob("*") if path.is_dir() and not path.is_symlink()]

    def _entry(self, entry_id: str) -> TrashEntry:
        plain = isinstance(entry_id, str) and entry_id.replace("-", "").isalnum()
        entry = self._read(entry_id) if plain else None
        if entry is None:
            raise UnknownName("There is no such entry in the trash.")
        return entry

    def _read(self, entry_id: str) -> TrashEntry | None:
        try:
            record = json.loads((self._folder / entry_id / ENTRY).read_text(encoding="utf-8"))
            folder = self._folder / entry_id
            named = (image for image in record["images"] if is_image_id(image))
            images = tuple(image for image in named if (folder / image).is_file())
            return TrashEntry(entry_id, float(record["deleted"]), images) if images else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.info("trash entry %s cannot be read: %s", entry_id, error)
            return None


def _move(source: Path, target: Path) -> None:
    """Move a file over to a name that is free. Raises `StorageError`."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
        sync_folder(target.parent)
    except OSError as error:
        raise StorageError(cannot_write(target, error)) from error
