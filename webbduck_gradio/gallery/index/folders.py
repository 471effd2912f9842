"""Folders of the output folder, as read by the index."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import run_layout
from ..run_layout import Folder
from . import image_facts
from .image_facts import ImageFacts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunUpdate:
    """Facts about images of a folder, ready to be written. `folder` is None if it has no images."""

    name: str
    stamp: str | None
    """None if the folder is gone."""
    folder: Folder | None
    images: Sequence[tuple[int, str, ImageFacts]]
    """Position in the folder, name, facts."""
    last: bool

    def without_metadata(self) -> RunUpdate:
        """The same images without their metadata, for when that cannot be stored."""
        bare = [(place, name, ImageFacts(problem=UNREADABLE)) for place, name, _ in self.images]
        return replace(self, images=bare)


UNREADABLE = "What this picture says about itself could not be read; the picture itself is shown."


def facts_of(folder: Folder, path: Path, name: str) -> ImageFacts:
    """Facts about one image. An unexpected error affects only this image, not the whole scan."""
    try:
        return image_facts.read(path / name, folder.meta, name)
    except Exception:
        log.exception("the metadata of %s could not be read", path / name)
        return ImageFacts(problem=UNREADABLE)


def stamp_of(folder: Path) -> str | None:
    """The stamp of a folder; None if it is gone or a link."""
    try:
        return None if folder.is_symlink() else run_layout.stamp(folder)
    except OSError:
        return None


def file_state(path: Path) -> tuple[int, int] | None:
    """Modification time in nanoseconds and size in bytes; None if the file is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def all_folders(root: Path, below: str = "") -> Iterator[tuple[str, Path]]:
    """The folder `below` and all its subfolders, by run id; without hidden folders and links."""
    waiting = [(below, root / below)]
    while waiting:
        name, path = waiting.pop()
        yield name, path
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    inside = run_layout.image_id(name, entry.name)
                    if run_layout.is_image_id(f"{inside}/0.png") and entry.is_dir(follow_symlinks=False):
                        waiting.append((inside, Path(entry.path)))
        except OSError as error:
            log.info("could not list %s: %s", path, error)
