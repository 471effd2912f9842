"""Finished pictures on disk: `outputs/<run>/0.png`, `1.png` ..., `meta.json`.

A run is the folder of one job. Its `meta.json` records what was asked and made, under the first version's
key names; which pictures there *are* is told by the files alone, so that deleting one, by us or by hand,
never makes the record wrong. Ids are what we give out: the path below the output folder, "RUN/0.png".
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import NotFoundError, StorageError
from ..request import GenerationRequest
from ..settings import Settings
from ..storage.atomic import cannot_write, sync_folder, write_atomically
from ..storage.folder_lock import FolderLock
from . import metadata, upscaled_images
from .favourites import Favourites
from .index import search
from .index.index import Index
from .index.skipped_entries import LeftOut
from .index.sort import order_of
from .index.watcher import IndexWatcher
from .run_layout import META, ImageInfo, RunInfo, is_image_id, is_run_name, read_folder
from .run_layout import image_id as image_id_of
from .run_writer import Run

log = logging.getLogger(__name__)

__all__ = ["META", "ImageInfo", "Outputs", "Run", "RunInfo", "is_image_id"]


class Outputs:
    """The output folder. Safe to use from several threads, and beside other programs that write there."""

    def __init__(self, settings: Settings):
        self.root = settings.outputs
        self._inputs = settings.inputs
        self.data_dir = settings.data_dir
        self.temporary = settings.data_dir / "tmp"
        self.version = 0
        self._lock = threading.Lock()
        self.moving = threading.RLock()
        """Held by whoever takes a name for a file, or moves files to the trash or back."""
        self._open: set[str] = set()
        self._held: FolderLock | None = None
        self._watcher: IndexWatcher | None = None
        self.left_out = LeftOut(self.root)
        self.favourites = Favourites(self.root / "favorites.json", self.temporary)
        self._index = Index(self.root, self.data_dir / "gallery.sqlite3", self.favourites.__contains__)

    def changed(self, *run_ids: str) -> None:
        """Say that something was added to or removed from these runs, so that listings show it at once."""
        try:
            self._index.refresh(run_ids)
        except StorageError as error:
            # What was done on disk counts; the next look at the folders finds it.
            log.warning("%s", error)
        with self._lock:
            self.version += 1

    def lock(self) -> None:
        """Take this output folder for this process, and tidy up after a crash. Held until the process ends.

        Raises `SettingsError` where another studio uses it.
        """
        if self._held is None:
            self._held = FolderLock(self.data_dir / "lock")
            self._clean()

    def unlock(self) -> None:
        """Let another process have the output folder."""
        if self._held is not None:
            self._held.release()
            self._held = None

    def _clean(self) -> None:
        # The lock is ours, so nobody writes these any more.
        for leftover in (*self.temporary.glob("*.tmp"), *self.data_dir.glob("*.tmp")):
            try:
                leftover.unlink()
            except OSError as error:
                log.warning("could not remove %s: %s", leftover, error)
        for name in os.listdir(self.root):
            if is_run_name(name):
                with suppress(OSError):  # succeeds only for a run whose first picture never came
                    (self.root / name).rmdir()

    def new_run(
        self, request: GenerationRequest, kind: str = "generate", job_id: str = "", owner: str | None = None
    ) -> Run:
        """Create the folder of a job, named by the local time. Raises `StorageError`."""
        return Run(self, self._new_folder(), request, kind, job_id, owner)

    def _new_folder(self) -> Path:
        """Made by nobody else at the same time; open until the caller discards it from `_open`."""
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        number = 1
        while True:
            path = self.root / (stamp if number == 1 else f"{stamp}-{number}")
            try:
                path.mkdir()  # fails where it exists, also when another process was first
                sync_folder(self.root)
                self._open.add(path.name)
                return path
            except FileExistsError:
                number += 1
            except OSError as error:
                raise StorageError(cannot_write(path, error)) from error

    def resolve(self, image_id: str) -> Path:
        """The file of an id that we gave out. Raises `NotFoundError` for everything else."""
        unknown = NotFoundError("There is no such picture in the gallery; it may have been deleted or moved.")
        if not is_image_id(image_id):
            raise unknown
        try:
            root = self.root.resolve(strict=True)
            path = (root / image_id).resolve(strict=True)
            inside = path.relative_to(root)
        except (OSError, ValueError, RuntimeError):  # RuntimeError: a loop of links
            raise unknown from None
        # The way there may lead over links inside the folder, but not out of it or to our own records.
        if not is_image_id(inside.as_posix()) or not path.is_file():
            raise unknown
        return path

    def save_upscaled(
        self,
        image_id: str,
        image: Image.Image,
        scale: float,
        upscaler: str,
        warnings: Sequence[str] = (),
        facts: Mapping[str, Any] | None = None,
        job_id: str | None = None,
    ) -> str:
        """Save an upscaled copy beside its original, N_upscaled.png (-2, -3 ... when taken); answer its id.

        It carries all metadata of the original, whoever made that. Raises `NotFoundError`, `StorageError`.
        """
        original = self.resolve(image_id)
        run_id, _, name = image_id.rpartition("/")
        about = _about_upscaled(image_id, scale, upscaler, warnings, facts, job_id)
        with self.moving:
            stem, number = f"{upscaled_images.base_of(name, os.listdir(original.parent))}_upscaled", 1
            while (target := original.parent / f"{stem}{'' if number == 1 else f'-{number}'}.png").exists():
                number += 1
            write_atomically(
                target, lambda file: metadata.save_upscaled(image, file, original, about), self.temporary
            )
        self.changed(run_id)
        return image_id_of(run_id, target.name)

    def copies_by(self, job_id: str, image_id: str) -> list[str]:
        """Ids of the upscaled copies of a picture that a job has saved. Raises `UnknownName`."""
        original = self.resolve(image_id)
        run_id, _, name = image_id.rpartition("/")
        return [image_id_of(run_id, each) for each in upscaled_images.made_by(job_id, original.parent, name)]

    def save_upscaled_input(
        self,
        file_id: str,
        image: Image.Image,
        scale: float,
        upscaler: str,
        warnings: Sequence[str] = (),
        facts: Mapping[str, Any] | None = None,
        job_id: str | None = None,
        started: Callable[[str], object] = lambda run_id: None,
    ) -> str:
        """As `save_variant`, for a stored input picture: it becomes 0.png of a run of its own.

        `started` is called with the id of that run before anything is saved in it.
        """
        original = self._inputs / file_id
        about = _about_upscaled(file_id, scale, upscaler, warnings, facts, job_id)
        path = self._new_folder()
        meta = {
            "timestamp": datetime.now().timestamp(),
            "created": about["created"],
            "kind": "upscale",
            "state": "completed",
            "upscaled": about,
        }
        text = json.dumps(meta, ensure_ascii=False, indent=2, default=str)
        try:
            started(path.name)
            write_atomically(
                path / "0.png",
                lambda file: metadata.save_upscaled(image, file, original, about),
                self.temporary,
            )
            write_atomically(path / META, lambda file: file.write(text.encode("utf-8")), self.temporary)
        finally:
            self._open.discard(path.name)
            with suppress(OSError):  # succeeds only where the picture could not be written
                path.rmdir()
        self.changed(path.name)
        return image_id_of(path.name, "0.png")

    def images_of(self, run_id: str) -> list[str]:
        """Ids of all pictures of a run, upscaled ones included. Raises `NotFoundError`."""
        folder = read_folder(self.root, run_id) if self._is_run(run_id) else None
        if folder is None:
            raise NotFoundError("There is no such run in the gallery; it may have been deleted or moved.")
        return [image_id_of(run_id, name) for name in folder.files]

    def is_open(self, run_id: str) -> bool:
        """Whether a job of this process still adds to the run."""
        return run_id in self._open

    def _is_run(self, run_id: object) -> bool:
        if not isinstance(run_id, str) or not is_image_id(f"{run_id}/0.png"):
            return False
        path = self.root / run_id
        return path.is_dir() and path.resolve() == self.root.resolve() / run_id  # no link on the way

    def runs(
        self, start: int = 0, limit: int = 50, query: str = "", order: str = "newest", with_meta: bool = True
    ) -> list[RunInfo]:
        """Runs with at least one picture that matches `query` (see `search`), in an order of `order.ORDERS`.

        `with_meta` False leaves their meta.json unread. Raises `RequestError` for a query that cannot be
        understood and for an unknown order.
        """
        asked, wanted = search.parse(query), order_of(order)
        return self._index_in_step().list_runs(asked, start, limit, wanted, with_meta)

    def run(self, run_id: str) -> RunInfo:
        """One run with its pictures. Raises `NotFoundError`."""
        found = self._index_in_step().one_run(run_id) if isinstance(run_id, str) else None
        if found is None:
            raise NotFoundError("There is no such run in the gallery; it may have been deleted or moved.")
        return found

    def images(
        self, start: int = 0, limit: int = 100, query: str = "", order: str = "newest"
    ) -> list[ImageInfo]:
        """Pictures that match `query`, over all runs; upscaled copies are their `variants`."""
        asked, wanted = search.parse(query), order_of(order)
        return self._index_in_step().list_images(asked, start, limit, wanted)

    def count(self, query: str = "") -> int:
        """How many pictures match."""
        return self._index_in_step().count(search.parse(query))

    def layout(self, query: str = "", order: str = "newest") -> list[int]:
        """How many pictures each run of `runs` shows, over all pages. Raises `RequestError`."""
        asked, wanted = search.parse(query), order_of(order)
        return self._index_in_step().layout(asked, wanted)

    def names(self) -> dict[str, list[tuple[str, int]]]:
        """What pictures were made with, to choose from: `model`, `lora`, `sampler`, each with its number."""
        return self._index_in_step().names()

    def count_runs(self) -> int:
        """How many runs hold a picture."""
        return self._index_in_step().count_runs()

    def favourite(self, *image_ids: str, favourite: bool = True) -> None:
        """Mark or unmark pictures; none where one is unknown. Raises `NotFoundError`, `StorageError`."""
        for image_id in image_ids:
            self.resolve(image_id)
        self.favourites.set(image_ids, favourite)
        self._index.set_favourites(image_ids, favourite)
        self.changed()

    def watch(self) -> None:
        """Keep the index in step in the background from now on; without it, each listing looks first."""
        if self._watcher is None:
            self._watcher = IndexWatcher(self.root, self._index, self.left_out, self.changed)

    @property
    def complete(self) -> bool:
        """Whether all folders have been looked at since `watch`."""
        return self._watcher is None or self._watcher.complete.is_set()

    def close(self) -> None:
        """Stop the background work and let go of the folder."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        self._index.close()
        self.unlock()

    def _index_in_step(self) -> Index:
        if self._watcher is None:
            self._index.reconcile()
        return self._index


def _about_upscaled(
    source: str,
    scale: float,
    upscaler: str,
    warnings: Sequence[str],
    facts: Mapping[str, Any] | None,
    job_id: str | None,
) -> dict[str, Any]:
    return {
        "from": source,
        "scale": scale,
        "upscaler": upscaler,
        "warnings": list(warnings),
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "facts": dict(facts or {}),
        "job_id": job_id,
    }
