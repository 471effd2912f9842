"""The folders below the output folder as the index meets them: which there are, what is new in each."""

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
    """Some pictures of a folder, read and ready to be written. `folder` None: it holds none."""

    name: str
    stamp: str | None
    """None where the folder is gone."""
    folder: Folder | None
    images: Sequence[tuple[int, str, ImageFacts]]
    """Place in the folder, name, and what it says."""
    last: bool

    def without_words(self) -> RunUpdate:
        """The same pictures with a sentence in place of what they say, where that could not be written."""
        bare = [(place, name, ImageFacts(problem=UNREADABLE)) for place, name, _ in self.images]
        return replace(self, images=bare)


UNREADABLE = "What this picture says about itself could not be read; the picture itself is shown."


def about_picture(folder: Folder, path: Path, name: str) -> ImageFacts:
    """What a picture says. A fault in reading one costs what that one says, not the look at all others."""
    try:
        return image_facts.read(path / name, folder.meta, name)
    except Exception:
        log.exception("What %s says could not be read", path / name)
        return ImageFacts(problem=UNREADABLE)


def stamp_of(folder: Path) -> str | None:
    """The state of a folder; None where it is gone, or only a link to somewhere else."""
    try:
        return None if folder.is_symlink() else run_layout.stamp(folder)
    except OSError:
        return None


def file_state(path: Path) -> tuple[int, int] | None:
    """Time of change in nanoseconds and size in bytes; None where the file is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def all_folders(root: Path, below: str = "") -> Iterator[tuple[str, Path]]:
    """The folder `below` and all in it, by their ids; hidden ones and links left out."""
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
