"""The output folder: `outputs/<run>/0.png`, `1.png` ..., `meta.json`.

A run is the folder of one job. Its `meta.json` records the request and the results under the first version's
key names. Which images exist is decided by the files alone, so deleting one, here or by hand, never makes
the record wrong. An image id is the path below the output folder: "RUN/0.png".
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
from ..storage.reading import read_json
from . import metadata, upscaled_images
from .favourites import Favourites
from .index import search
from .index.grid_layout import GridLayout
from .index.index import Index
from .index.skipped_entries import SkippedEntries
from .index.sort import order_of
from .index.watcher import IndexWatcher
from .run_layout import META, ImageInfo, RunInfo, is_image_id, is_run_name, read_folder
from .run_layout import image_id as image_id_of
from .run_writer import Run

log = logging.getLogger(__name__)

__all__ = ["META", "ImageInfo", "Outputs", "Run", "RunInfo", "is_image_id"]


class Outputs:
    """The output folder. Thread-safe; other programs may write to the folder at the same time."""

    def __init__(self, settings: Settings):
        self.root = settings.outputs
        self._inputs = settings.inputs
        self.data_dir = settings.data_dir
        self.temporary = settings.data_dir / "tmp"
        self.version = 0
        self._lock = threading.Lock()
        self.moving = threading.RLock()
        """Held while a new file name is chosen, or files move to or from the trash."""
        self._open: set[str] = set()
        self._held: FolderLock | None = None
        self._watcher: IndexWatcher | None = None
        self.skipped = SkippedEntries(self.root)
        self.favourites = Favourites(self.root / "favorites.json", self.temporary)
        self._index = Index(self.root, self.data_dir / "gallery.sqlite3", self.favourites.__contains__)

    def changed(self, *run_ids: str) -> None:
        """Update the index after a change to these runs, so that listings show it at once."""
        try:
            self._index.refresh(run_ids)
        except StorageError as error:
            # The change on disk stands; the next scan picks it up.
            log.warning("%s", error)
        with self._lock:
            self.version += 1

    def lock(self) -> None:
        """Lock the output folder for this process and clean up after a crash.

        Raises `SettingsError` if another instance holds the lock.
        """
        if self._held is None:
            self._held = FolderLock(self.data_dir / "lock")
            self._remove_leftovers()

    def unlock(self) -> None:
        """Release the lock on the output folder."""
        if self._held is not None:
            self._held.release()
            self._held = None

    def _remove_leftovers(self) -> None:
        # This process holds the lock, so nobody else is writing these files.
        for leftover in (*self.temporary.glob("*.tmp"), *self.data_dir.glob("*.tmp")):
            try:
                leftover.unlink()
            except OSError as error:
                log.warning("could not remove %s: %s", leftover, error)
        for name in os.listdir(self.root):
            if is_run_name(name):
                with suppress(OSError):  # succeeds only for an empty run
                    (self.root / name).rmdir()

    def new_run(
        self, request: GenerationRequest, kind: str = "generate", job_id: str = "", owner: str | None = None
    ) -> Run:
        """Create the run folder of a job, named by local time. Raises `StorageError`."""
        return self._run_in(self._new_folder(), request, kind, job_id, owner)

    def reopen_run(
        self, run_id: str, request: GenerationRequest, kind: str, job_id: str, owner: str | None
    ) -> Run:
        """The run of a job that goes on: its next image is added to the record and the images that are there.

        The folder is made again with that image if it was deleted meanwhile.
        """
        path = self.root / run_id
        if not is_run_name(run_id):
            return self.new_run(request, kind, job_id, owner)
        earlier: Any = None
        try:
            earlier = read_json(path / META)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            log.warning("The record of run %s cannot be read and begins anew: %s", run_id, error)
        self._open.add(run_id)
        return self._run_in(
            path, request, kind, job_id, owner, earlier if isinstance(earlier, dict) else None
        )

    def _run_in(
        self,
        path: Path,
        request: GenerationRequest,
        kind: str,
        job_id: str,
        owner: str | None,
        earlier: Mapping[str, Any] | None = None,
    ) -> Run:
        return Run(
            path, request, kind, job_id, owner, self.temporary, self.changed, self._open.discard, earlier
        )

    def _new_folder(self) -> Path:
        """Create a folder with a free name; it is open until the caller discards it from `_open`."""
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        number = 1
        while True:
            path = self.root / (stamp if number == 1 else f"{stamp}-{number}")
            try:
                path.mkdir()  # fails if it exists, so no other process can use it too
                sync_folder(self.root)
                self._open.add(path.name)
                return path
            except FileExistsError:
                number += 1
            except OSError as error:
                raise StorageError(cannot_write(path, error)) from error

    def resolve(self, image_id: str) -> Path:
        """The file of an image id. Raises `NotFoundError` for anything else."""
        unknown = NotFoundError("There is no such picture in the gallery; it may have been deleted or moved.")
        if not is_image_id(image_id):
            raise unknown
        try:
            root = self.root.resolve(strict=True)
            path = (root / image_id).resolve(strict=True)
            inside = path.relative_to(root)
        except (OSError, ValueError, RuntimeError):  # RuntimeError: a loop of links
            raise unknown from None
        # Links within the output folder are followed, but not out of it or to our own data files.
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
        redraw: Mapping[str, Any] | None = None,
    ) -> str:
        """Save an upscaled image beside its original, N_upscaled.png (-2, -3 ... if taken); returns its id.

        All metadata of the original is kept, whichever tool wrote it. `redraw`: the request (JSON) of an
        image that was redrawn in tiles. Raises `NotFoundError`, `StorageError`.
        """
        original = self.resolve(image_id)
        run_id, _, name = image_id.rpartition("/")
        about = _about_upscaled(image_id, scale, upscaler, warnings, facts, job_id, redraw)
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
        """Ids of the upscaled versions of an image that a job has saved. Raises `NotFoundError`."""
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
        redraw: Mapping[str, Any] | None = None,
        started: Callable[[str], object] = lambda run_id: None,
    ) -> str:
        """As `save_upscaled`, for a stored input image: the result is 0.png of a new run.

        `started` is called with the id of that run before anything is saved in it.
        """
        original = self._inputs / file_id
        about = _about_upscaled(file_id, scale, upscaler, warnings, facts, job_id, redraw)
        path = self._new_folder()
        meta = {
            "timestamp": datetime.now().timestamp(),
            "created": about["created"],
            "kind": "redraw" if redraw else "upscale",
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
            with suppress(OSError):  # succeeds only if the image could not be written
                path.rmdir()
        self.changed(path.name)
        return image_id_of(path.name, "0.png")

    def images_of(self, run_id: str) -> list[str]:
        """Ids of all images of a run, including upscaled ones. Raises `NotFoundError`."""
        folder = read_folder(self.root, run_id) if self._is_run(run_id) else None
        if folder is None:
            raise NotFoundError("There is no such run in the gallery; it may have been deleted or moved.")
        return [image_id_of(run_id, name) for name in folder.files]

    def is_open(self, run_id: str) -> bool:
        """Whether a job of this process is still writing to the run."""
        return run_id in self._open

    def _is_run(self, run_id: object) -> bool:
        if not isinstance(run_id, str) or not is_image_id(f"{run_id}/0.png"):
            return False
        path = self.root / run_id
        return path.is_dir() and path.resolve() == self.root.resolve() / run_id  # not through a link

    def runs(
        self, start: int = 0, limit: int = 50, query: str = "", order: str = "newest", with_meta: bool = True
    ) -> list[RunInfo]:
        """Runs with an image that matches `query` (see `search`), sorted by `order` (see `sort.ORDERS`).

        With `with_meta` False, meta.json is not read. Raises `RequestError` for an invalid query or order.
        """
        return self._synced_index().list_runs(search.parse(query), start, limit, order_of(order), with_meta)

    def run(self, run_id: str) -> RunInfo:
        """One run with its images. Raises `NotFoundError`."""
        found = self._synced_index().one_run(run_id) if isinstance(run_id, str) else None
        if found is None:
            raise NotFoundError("There is no such run in the gallery; it may have been deleted or moved.")
        return found

    def images(
        self, start: int = 0, limit: int = 100, query: str = "", order: str = "newest"
    ) -> list[ImageInfo]:
        """Images that match `query`, over all runs; upscaled images are their `variants`."""
        return self._synced_index().list_images(search.parse(query), start, limit, order_of(order))

    def count(self, query: str = "") -> int:
        """Number of matching images."""
        return self._synced_index().count(search.parse(query))

    def layout(self, query: str = "", order: str = "newest", flat: bool = False) -> GridLayout:
        """Sizes and days of all `runs`, or `images` if `flat`, over all pages. Raises `RequestError`."""
        return self._synced_index().layout(search.parse(query), order_of(order), flat)

    def names(self) -> dict[str, list[tuple[str, int]]]:
        """Values to filter by: (name, number of images) for each of `model`, `lora` and `sampler`."""
        return self._synced_index().names()

    def count_runs(self) -> int:
        """Number of runs with at least one image."""
        return self._synced_index().count_runs()

    def favourite(self, *image_ids: str, favourite: bool = True) -> None:
        """Mark or unmark images, all or none. Raises `NotFoundError`, `StorageError`."""
        for image_id in image_ids:
            self.resolve(image_id)
        self.favourites.set(image_ids, favourite)
        self._index.set_favourites(image_ids, favourite)
        self.changed()

    def watch(self) -> None:
        """Keep the index synchronised in the background. Without this, each listing scans first."""
        if self._watcher is None:
            self._watcher = IndexWatcher(self.root, self._index, self.skipped, self.changed)

    @property
    def complete(self) -> bool:
        """Whether all folders have been scanned since `watch`."""
        return self._watcher is None or self._watcher.complete.is_set()

    def close(self) -> None:
        """Stop the background thread and release the folder lock."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        self._index.close()
        self.unlock()

    def _synced_index(self) -> Index:
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
    redraw: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        "from": source,
        "scale": scale,
        "upscaler": upscaler,
        "warnings": list(warnings),
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "facts": dict(facts or {}),
        "job_id": job_id,
        **({"redraw": dict(redraw)} if redraw else {}),
    }
