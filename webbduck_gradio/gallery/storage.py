"""Finished pictures on disk: `outputs/<run>/0.png`, `1.png` ..., `meta.json`.

A run is the folder of one job. Its `meta.json` records what was asked and made, under the first version's
key names; which pictures there *are* is told by the files alone, so that deleting one, by us or by hand,
never makes the record wrong. Ids are what we give out: the path below the output folder, "RUN/0.png".
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from ..errors import StorageError, UnknownName
from ..request import GenerationRequest
from ..settings import Settings
from . import metadata
from .files import FolderLock, cannot_write, sync_folder, write_atomically

log = logging.getLogger(__name__)

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
META = "meta.json"
RUN_NAME = re.compile(r"^(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)(?:-(\d+))?$")
VARIANT = re.compile(r"^(.+)_upscaled(?:-\d+)?$")
MAX_META_BYTES = 4 * 2**20
SETTLED_NS = 2 * 10**9


@dataclass(frozen=True)
class ImageInfo:
    """One picture of a run. `variants` are the ids of its upscaled copies."""

    id: str
    seed: int | None
    size_bytes: int
    modified: float
    variants: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunInfo:
    """A run that holds at least one picture. `meta` is meta.json as it is ({} where there is none)."""

    id: str
    created: float
    images: tuple[ImageInfo, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


class Run:
    """The folder of a job that is being worked on. Not shared between threads."""

    def __init__(
        self,
        outputs: Outputs,
        path: Path,
        request: GenerationRequest,
        kind: str,
        job_id: str,
        owner: str | None,
    ):
        self.id = path.name
        self.path = path
        self._outputs = outputs
        self._request = request
        self._kind = kind
        now = datetime.now().astimezone()
        self._meta: dict[str, Any] = {
            **_first_version_keys(request),
            "timestamp": now.timestamp(),
            "created": now.isoformat(timespec="seconds"),
            "kind": kind,
            "state": "running",
            "job_id": job_id,
            "owner": owner,
            "seeds": [],
            "warnings": [],
            "versions": {},
            "images": {},
            "request": request.model_dump(mode="json"),
        }

    def save(
        self,
        picture_index: int,
        image: Image.Image,
        seed: int,
        warnings: Sequence[str] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> str:
        """Write picture `picture_index` (from 0) with its metadata; answer its id. Raises `StorageError`.

        `facts` is what the core knows beyond the request (JSON values); `versions` in it joins ours.
        """
        name = f"{picture_index}.png"
        target = self.path / name
        if target.exists():
            raise StorageError(f"{self.id}/{name} is already there and is not replaced.")
        chunk = metadata.describe(
            self._request,
            picture_index,
            seed=seed,
            kind=self._kind,
            job_id=self._meta["job_id"],
            warnings=warnings,
            facts=facts,
        )
        info = metadata.png_info(chunk)
        self._make_folder()
        write_atomically(
            target, lambda file: image.save(file, format="PNG", pnginfo=info), self._outputs.temporary
        )
        self._meta["images"][name] = {
            "seed": seed,
            "width": image.width,
            "height": image.height,
            "warnings": list(warnings),
        }
        self._meta["seeds"] = [entry["seed"] for entry in self._meta["images"].values()]
        self._meta["warnings"] = list(dict.fromkeys([*self._meta["warnings"], *warnings]))
        self._meta["versions"] = chunk["versions"]
        self._write_meta()
        self._outputs.changed()
        return f"{self.id}/{name}"

    def close(self, state: str) -> None:
        """Record how the job ended. A run without a picture is removed."""
        self._meta["state"] = state
        self._outputs._open.discard(self.id)
        if self.path.is_dir() and not _remove_if_empty(self.path):
            self._write_meta()
        self._outputs.changed()

    def _make_folder(self) -> None:
        # Whoever deletes a run while it is being made still gets the pictures that come after.
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise StorageError(cannot_write(self.path, error)) from error

    def _write_meta(self) -> None:
        text = json.dumps(self._meta, ensure_ascii=False, indent=2, default=str)
        write_atomically(
            self.path / META, lambda file: file.write(text.encode("utf-8")), self._outputs.temporary
        )


class Outputs:
    """The output folder. Safe to use from several threads, and beside other programs that write there."""

    def __init__(self, settings: Settings):
        self.root = settings.outputs
        self.private = settings.private
        self.temporary = settings.private / "tmp"
        self.version = 0
        self._lock = threading.Lock()
        self._open: set[str] = set()
        self._held: FolderLock | None = None
        self._known: dict[str, tuple[int, RunInfo | None]] = {}

    def changed(self) -> None:
        """Say that something was added or removed."""
        with self._lock:
            self.version += 1

    def lock(self) -> None:
        """Take this output folder for this process, and tidy up after a crash. Held until the process ends.

        Raises `SettingsError` where another studio uses it.
        """
        if self._held is None:
            self._held = FolderLock(self.private / "lock")
            self._clean()

    def unlock(self) -> None:
        """Let another process have the output folder."""
        if self._held is not None:
            self._held.release()
            self._held = None

    def _clean(self) -> None:
        for leftover in self.temporary.glob("*.tmp"):
            try:
                leftover.unlink()
            except OSError as error:
                log.warning("could not remove %s: %s", leftover, error)
        for name in os.listdir(self.root):
            if RUN_NAME.match(name):
                with suppress(OSError):  # succeeds only for a run whose first picture never came
                    (self.root / name).rmdir()

    def new_run(
        self, request: GenerationRequest, kind: str = "generate", job_id: str = "", owner: str | None = None
    ) -> Run:
        """Create the folder of a job, named by the local time. Raises `StorageError`."""
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        number = 1
        while True:
            path = self.root / (stamp if number == 1 else f"{stamp}-{number}")
            try:
                path.mkdir()  # fails where it exists, also when another process was first
                sync_folder(self.root)
                self._open.add(path.name)
                return Run(self, path, request, kind, job_id, owner)
            except FileExistsError:
                number += 1
            except OSError as error:
                raise StorageError(cannot_write(path, error)) from error

    def resolve(self, image_id: str) -> Path:
        """The file of an id that we gave out. Raises `UnknownName` for everything else."""
        unknown = UnknownName("There is no such picture in the gallery; it may have been deleted or moved.")
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

    def images_of(self, run_id: str) -> list[str]:
        """Ids of all pictures of a run, upscaled ones included. Raises `UnknownName`."""
        info = self._read_run(run_id) if self._is_run(run_id) else None
        if info is None:
            raise UnknownName("There is no such run in the gallery; it may have been deleted or moved.")
        return [id for image in info.images for id in (image.id, *image.variants)]

    def is_open(self, run_id: str) -> bool:
        """Whether a job of this process still adds to the run."""
        return run_id in self._open

    def _is_run(self, run_id: object) -> bool:
        if not isinstance(run_id, str) or not is_image_id(f"{run_id}/0.png"):
            return False
        path = self.root / run_id
        return "/" not in run_id and path.is_dir() and not path.is_symlink()

    def runs(self, start: int = 0, limit: int = 50, query: str = "") -> list[RunInfo]:
        """Runs with at least one picture, newest first. `query`: words that all must occur in the record."""
        found = self._scan()
        words = query.casefold().split()
        if words:
            found = [run for run in found if all(word in _haystack(run) for word in words)]
        return found[start : start + limit]

    def _scan(self) -> list[RunInfo]:
        """All runs; only folders whose time of change is new are read again."""
        seen: dict[str, tuple[int, RunInfo | None]] = {}
        with os.scandir(self.root) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    if not entry.is_dir(follow_symlinks=False):
                        continue
                    stamp = entry.stat().st_mtime_ns
                    known = self._known.get(entry.name)
                    if time.time_ns() - stamp < SETTLED_NS:
                        known = None  # the clock of the file system may be too coarse to tell two changes
                    seen[entry.name] = (
                        known if known and known[0] == stamp else (stamp, self._read_run(entry.name))
                    )
                except OSError:  # it went away while we looked
                    continue
        self._known = seen
        found = [info for _, info in seen.values() if info]
        return sorted(found, key=lambda run: (run.created, *_name_order(run.id)), reverse=True)

    def _read_run(self, run_id: str) -> RunInfo | None:
        folder = self.root / run_id
        files = {
            entry.name: entry.stat()
            for entry in os.scandir(folder)
            if is_image_id(f"{run_id}/{entry.name}") and entry.is_file(follow_symlinks=False)
        }
        if not files:
            return None
        meta, problem = read_meta(folder)
        stems = {PurePosixPath(name).stem for name in files}
        variants: dict[str, list[str]] = {}
        for name in sorted(files, key=_name_order):
            match = VARIANT.match(PurePosixPath(name).stem)
            if match and match[1] in stems:
                variants.setdefault(match[1], []).append(name)
        upscaled = {name for names in variants.values() for name in names}
        images = tuple(
            ImageInfo(
                id=f"{run_id}/{name}",
                seed=_seed(meta, name),
                size_bytes=files[name].st_size,
                modified=files[name].st_mtime,
                variants=tuple(f"{run_id}/{other}" for other in variants.get(PurePosixPath(name).stem, ())),
            )
            for name in sorted(files, key=_name_order)
            if name not in upscaled
        )
        return RunInfo(run_id, _created(run_id, meta, files[min(files)].st_mtime), images, meta, problem)


def is_image_id(image_id: object) -> bool:
    """Whether this can be an id: a relative path of plain names that ends as a picture's does."""
    if not isinstance(image_id, str) or len(image_id) > 1024 or not image_id.lower().endswith(ENDINGS):
        return False
    if any(mark in image_id for mark in "\\:") or any(ord(letter) < 32 for letter in image_id):
        return False
    parts = image_id.split("/")
    return all(part and not part.startswith(".") for part in parts)


def read_meta(folder: Path) -> tuple[dict[str, Any], str | None]:
    """A run's meta.json, and a sentence where it cannot be used."""
    path = folder / META
    try:
        if path.stat().st_size > MAX_META_BYTES:
            return {}, f"{folder.name}/{META} is too large to be ours; it is left as it is."
        meta = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, None
    except (OSError, ValueError, RecursionError):
        return {}, f"{folder.name}/{META} cannot be read; the pictures are shown without it."
    if not isinstance(meta, dict):
        return {}, f"{folder.name}/{META} holds no settings; the pictures are shown without it."
    return meta, None


def _first_version_keys(request: GenerationRequest) -> dict[str, Any]:
    fields = request.model_dump(mode="json")
    keys = (
        "prompt negative_prompt base_model steps cfg width height num_images seed scheduler loras strength "
        "second_pass_model second_pass_mode refinement_strength inpainting_fill mask_blur"
    )
    return {key: fields[key] for key in keys.split()}


def _seed(meta: Mapping[str, Any], name: str) -> int | None:
    images = meta.get("images")
    entry = images.get(name) if isinstance(images, dict) else None
    seed = entry.get("seed") if isinstance(entry, dict) else None
    return seed if isinstance(seed, int) else None


def _created(run_id: str, meta: Mapping[str, Any], fallback: float) -> float:
    """Seconds since 1970: as recorded, else as the folder's name says, else the file's."""
    stamp = meta.get("timestamp")
    if isinstance(stamp, (int, float)) and not isinstance(stamp, bool) and 0 < stamp < 1e11:
        return float(stamp)
    match = RUN_NAME.match(run_id)
    if match:
        try:
            return time.mktime(time.strptime(match[1], "%Y-%m-%d_%H-%M-%S"))
        except (ValueError, OverflowError):
            pass
    return fallback


def _name_order(name: str) -> tuple[tuple[int, int | str], ...]:
    """Order by the numbers in a name: 2.png before 10.png, RUN-2 before RUN-10."""
    return tuple(
        (0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part
    )


def _haystack(run: RunInfo) -> str:
    keys = ("prompt", "negative_prompt", "base_model", "scheduler", "seed", "loras")
    seeds = " ".join(str(image.seed) for image in run.images if image.seed is not None)
    return " ".join([run.id, seeds, *(str(run.meta.get(key, "")) for key in keys)]).casefold()


def _remove_if_empty(folder: Path) -> bool:
    """Remove a run's folder that holds nothing but our own record; whether it did."""
    if not set(os.listdir(folder)) <= {META}:
        return False
    try:
        (folder / META).unlink(missing_ok=True)
        folder.rmdir()
    except OSError as error:
        log.warning("could not remove the empty run %s: %s", folder, error)
    return True
