"""Trash: deleted images and runs move to `.webbduck/trash/` and can be restored until it is emptied.

Each deletion is an entry: a folder with the files and `entry.json`, which is written before any file moves,
so that after a crash every file is either in its place or in an entry that knows where it belongs.
Emptying renames an entry before removing it, so that half an entry is never shown or counted.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..errors import NotFoundError, StorageError
from ..settings import Settings
from ..storage.atomic import cannot_write, sync_folder, write_atomically
from ..storage.moving import move_to_free_name
from ..storage.reading import read_json, read_regular
from ..storage.reserve import Reserve, is_full
from .outputs import META, Outputs, is_image_id

log = logging.getLogger(__name__)
ENTRY = "entry.json"
RECORDS = "meta"
"""Folder of an entry with the meta.json of each run."""
REMOVING = ".going-"
"""Name prefix of an entry that is being removed for good."""

ID = re.compile(r"[0-9a-f-]{1,40}")

T = TypeVar("T")


@dataclass(frozen=True)
class TrashEntry:
    """One deletion. `images` are the ids before deletion and after restoring."""

    id: str
    deleted: float
    images: tuple[str, ...]


class Trash:
    """Images deleted from the gallery that can be restored. Thread-safe."""

    def __init__(self, settings: Settings, outputs: Outputs):
        self._folder = settings.data_dir / "trash"
        self._outputs = outputs
        self._reserve = Reserve(settings.data_dir / "reserve")
        self._remove_emptied()
        self._finish_interrupted()

    def delete_image(self, image_id: str) -> TrashEntry:
        """Move one image to the trash. Raises `NotFoundError`, `StorageError`."""
        return self.delete_images([image_id])

    def delete_images(self, image_ids: list[str]) -> TrashEntry:
        """Move images to the trash as one entry. Nothing moves if one of them is unknown."""
        with self._outputs.moving:
            for image_id in image_ids:
                self._outputs.resolve(image_id)
            return self._delete(list(dict.fromkeys(image_ids)))

    def delete_run(self, run_id: str) -> TrashEntry:
        """Move all images of a run to the trash. Other files in its folder stay."""
        with self._outputs.moving:
            return self._delete(self._outputs.images_of(run_id))

    def entries(self) -> list[TrashEntry]:
        """All entries, newest first."""
        found = [self._read(folder.name) for folder in self._folders()]
        return sorted((entry for entry in found if entry), key=lambda entry: entry.deleted, reverse=True)

    def restore(self, entry_id: str) -> tuple[str, ...]:
        """Restore an entry under its old ids; returns them. Raises `StorageError`, with nothing moved, if one
        of the names is taken."""
        with self._outputs.moving:
            entry = self._entry(entry_id)
            folder = self._folder / entry_id
            taken = next((each for each in entry.images if os.path.lexists(self._outputs.root / each)), None)
            if taken:
                raise StorageError(_name_taken_message(taken))
            runs = {image.rpartition("/")[0] for image in entry.images}
            for run in sorted(runs):
                record = folder / RECORDS / run / META
                if record.is_file():
                    with suppress(FileExistsError):  # the run has one again; it stays
                        _move(record, self._outputs.root / run / META)
            self._move_all(entry.images, folder, self._outputs.root)
            shutil.rmtree(folder, ignore_errors=True)
        self._outputs.changed(*runs)
        return entry.images

    def path(self, entry_id: str, image_id: str) -> Path:
        """The file of a deleted picture, for its thumbnail. Raises `NotFoundError`."""
        path = self._folder / self._entry(entry_id).id / image_id
        if image_id not in self._entry(entry_id).images or not path.is_file():
            raise NotFoundError("This picture is no longer in the trash.")
        return path

    def size_bytes(self) -> int:
        """Size of the trash in bytes."""
        total = 0
        for folder in self._folders():
            for file in folder.rglob("*"):
                with suppress(OSError):  # emptied meanwhile
                    total += file.stat().st_size if file.is_file() else 0
        return total

    def empty(self) -> int:
        """Permanently delete everything in the trash; returns the number of images."""
        count = 0
        with self._outputs.moving:
            for folder in self._folders():
                entry = self._read(folder.name)
                try:
                    folder.rename(folder.with_name(REMOVING + folder.name))
                except OSError as error:
                    raise StorageError(cannot_write(folder, error)) from error
                count += len(entry.images) if entry else 0
        if left := self._remove_emptied():
            raise StorageError(
                f"The trash was emptied, but {left} of its folders could not be removed yet; the log has why."
            )
        return count

    def _remove_emptied(self) -> int:
        """Remove entries marked for removal, also those of an interrupted run; returns how many failed."""
        left = 0
        for folder in self._folder.glob(f"{REMOVING}*"):
            try:
                shutil.rmtree(folder)
            except FileNotFoundError:
                continue  # removed by another thread
            except OSError as error:
                log.warning("%s could not be removed: %s", folder, error)
                left += 1
        return left

    def _delete(self, images: list[str]) -> TrashEntry:
        now = time.time()
        entry = TrashEntry(time.strftime("%Y%m%d-%H%M%S-") + uuid.uuid4().hex[:8], now, tuple(images))
        folder = self._folder / entry.id
        record = json.dumps({"deleted": now, "images": images}, ensure_ascii=False).encode()
        self._with_reserve(lambda: self._create_entry(folder, record))
        runs = {image.rpartition("/")[0] for image in images}
        try:
            self._with_reserve(lambda: self._move_all(images, self._outputs.root, folder))
            for run in sorted(runs - {""}):
                self._with_reserve(partial(self._keep_meta, run, folder))
        finally:  # also after a failure half-way: files that have moved are in the trash
            if self._read(entry.id) is None:
                shutil.rmtree(folder, ignore_errors=True)
            self._outputs.changed(*runs)
        return entry

    def _create_entry(self, folder: Path, record: bytes) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(cannot_write(folder, error)) from error
        write_atomically(folder / ENTRY, lambda file: file.write(record), self._outputs.temporary)

    def _with_reserve(self, step: Callable[[], T]) -> T:
        """Deleting must work on a full disk: release the disk reserve and retry."""
        try:
            return step()
        except StorageError as error:
            if not isinstance(error.__cause__, OSError) or not is_full(error.__cause__):
                raise
            self._reserve.release()
            return step()

    def _move_all(self, images: list[str] | tuple[str, ...], source: Path, target: Path) -> None:
        """Move all, or none if one fails. Files moved by an earlier attempt are skipped."""
        moved: list[str] = []
        try:
            for image in images:
                if (source / image).exists() or not (target / image).exists():
                    _move(source / image, target / image)
                    moved.append(image)
            for folder in {(target / image).parent for image in moved}:
                sync_folder(folder)
        except (FileExistsError, StorageError) as error:
            for image in reversed(moved):
                with suppress(OSError, StorageError):
                    _move(target / image, source / image)
            if isinstance(error, FileExistsError):
                raise StorageError(_name_taken_message(images[len(moved)])) from None
            raise

    def _keep_meta(self, run: str, folder: Path) -> None:
        """Copy the run's meta.json into the entry; move it and remove the run if it has no files left."""
        source, copy = self._outputs.root / run, folder / RECORDS / run / META
        if not (source / META).is_file():
            return
        try:
            if set(os.listdir(source)) == {META} and not self._outputs.is_open(run):
                _move(source / META, copy)
                sync_folder(copy.parent)
                source.rmdir()
                return
            copy.parent.mkdir(parents=True, exist_ok=True)
            record = read_regular(source / META)
        except ValueError as error:
            log.warning("The record of run %s is not kept with its deleted pictures: %s", run, error)
            return
        except OSError as error:
            raise StorageError(cannot_write(copy, error)) from error
        write_atomically(copy, lambda file: file.write(record), self._outputs.temporary)

    def _finish_interrupted(self) -> None:
        """Finish deletions interrupted by a crash: no file in two places, meta.json of each run in its entry,
        no run with meta.json only."""
        with self._outputs.moving:
            for entry in self.entries():
                folder = self._folder / entry.id
                try:
                    for image in entry.images:
                        original = self._outputs.root / image
                        if original.is_file() and original.samefile(folder / image):
                            (folder / image).unlink()  # interrupted while moving: keep the original
                    for run in {image.rpartition("/")[0] for image in entry.images} - {""}:
                        self._keep_record_of(run, folder)
                except (OSError, StorageError) as error:
                    log.warning("The deletion %s could not be checked: %s", entry.id, error)
        for folder in self._folders():
            if not any(path.is_file() for path in folder.rglob("*") if path.name not in (ENTRY, META)):
                shutil.rmtree(folder, ignore_errors=True)  # interrupted before any file moved

    def _keep_record_of(self, run: str, folder: Path) -> None:
        record, copy = self._outputs.root / run / META, folder / RECORDS / run / META
        if not copy.is_file():
            self._keep_meta(run, folder)
        elif record.is_file() and set(os.listdir(record.parent)) == {META}:
            if record.samefile(copy):  # interrupted while moving
                record.unlink()
            else:  # the job was still running when its images were deleted
                os.replace(record, copy)
                sync_folder(copy.parent)
            record.parent.rmdir()

    def _folders(self) -> list[Path]:
        found = (path for path in self._folder.glob("*") if not path.name.startswith("."))
        return [path for path in found if path.is_dir() and not path.is_symlink()]

    def _entry(self, entry_id: str) -> TrashEntry:
        entry = self._read(entry_id) if isinstance(entry_id, str) and ID.fullmatch(entry_id) else None
        if entry is None:
            raise NotFoundError("There is no such entry in the trash.")
        return entry

    def _read(self, entry_id: str) -> TrashEntry | None:
        folder = self._folder / entry_id
        try:
            record = read_json(folder / ENTRY)
            named = [image for image in record["images"] if is_image_id(image)]
            deleted = float(record["deleted"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            # The paths of the files still tell where they belong.
            log.info("The record of trash entry %s cannot be read: %s", entry_id, error)
            named, deleted = _pictures_in(folder), _modified(folder)
        images = tuple(image for image in named if (folder / image).is_file())
        return TrashEntry(entry_id, deleted, images) if images else None


def _name_taken_message(image_id: str) -> str:
    return f"{image_id} cannot be restored because there is another file of that name."


def _pictures_in(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")))
    return [each for each in found if is_image_id(each)]


def _modified(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _move(source: Path, target: Path) -> None:
    """Move a file to a free name. Raises `FileExistsError` if it is taken, and `StorageError`."""
    try:
        move_to_free_name(source, target)
    except FileExistsError:
        raise
    except OSError as error:
        raise StorageError(cannot_write(target, error)) from error
