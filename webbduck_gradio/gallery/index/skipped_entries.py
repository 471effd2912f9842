"""Finds images and folders that the gallery cannot show because of their names, to report them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..run_layout import image_id, is_image_id
from ..upscaled_images import ENDINGS

MAX_NAMES = 100


def is_skipped(name: str) -> bool:
    """Whether the name makes an image, or the images in this folder, unusable: control characters, not UTF-8,
    or too long. Hidden files are ignored on purpose and do not count."""
    if any(part.startswith(".") for part in name.split("/")):
        return False
    is_picture = name.lower().endswith(ENDINGS)
    return not is_image_id(name if is_picture else f"{name}/0.png")


class SkippedEntries:
    """Ids of skipped images and folders. Cached once `rescan` has been called; before that, `names` scans."""

    def __init__(self, root: Path):
        self._root = root
        self._seen: tuple[str, ...] | None = None

    def names(self) -> list[str]:
        seen = self._seen
        return list(find(self._root) if seen is None else seen)

    def rescan(self) -> bool:
        """Scan again; returns whether the result has changed."""
        before, self._seen = self._seen, find(self._root)
        return self._seen != (before or ())


def find(root: Path) -> tuple[str, ...]:
    """Ids of skipped entries, with unprintable characters escaped; at most `MAX_NAMES`."""
    found: list[str] = []
    waiting = [("", root)]
    while waiting and len(found) < MAX_NAMES:
        name, path = waiting.pop()
        for entry, is_folder in _entries(path):
            inside = image_id(name, entry.name)
            if is_folder and not is_skipped(inside):
                if not entry.name.startswith("."):
                    waiting.append((inside, Path(entry.path)))
            elif (is_folder or entry.name.lower().endswith(ENDINGS)) and is_skipped(inside):
                found.append(readable(inside))
    return tuple(sorted(found[:MAX_NAMES]))


def _entries(path: Path) -> Iterator[tuple[os.DirEntry[str], bool]]:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                # Quick check first: most names are unproblematic.
                if is_folder or not entry.name.isprintable() or len(entry.path) > 1000 or os.name == "nt":
                    yield entry, is_folder
    except OSError:
        return  # gone or not accessible; the index reports that


def readable(name: str) -> str:
    """A name with unprintable characters escaped: `caf\\xe9.png`."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
