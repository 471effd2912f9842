"""Pictures and folders that the gallery cannot show because of their names, so that it can say so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..run_layout import image_id, is_image_id
from ..upscaled_images import ENDINGS

MOST = 100
"""Names that are gathered; nobody reads more."""


def is_left_out(name: str) -> bool:
    """Whether a picture's id, or that of a picture in a folder of this id, cannot be: its name holds control
    characters or is not UTF-8, or it is too long. Hidden files are left out on purpose."""
    if any(part.startswith(".") for part in name.split("/")):
        return False
    is_picture = name.lower().endswith(ENDINGS)
    return not is_image_id(name if is_picture else f"{name}/0.png")


class LeftOut:
    """Ids of what is left out. Whoever follows the changes calls `look`; before that each question is one."""

    def __init__(self, root: Path):
        self._root = root
        self._seen: tuple[str, ...] | None = None

    def names(self) -> list[str]:
        seen = self._seen
        return list(find(self._root) if seen is None else seen)

    def look(self) -> bool:
        """Look again; whether something had changed."""
        before, self._seen = self._seen, find(self._root)
        return self._seen != (before or ())


def find(root: Path) -> tuple[str, ...]:
    """Ids as they would be, with what cannot be shown escaped; at most `MOST`."""
    found: list[str] = []
    waiting = [("", root)]
    while waiting and len(found) < MOST:
        name, path = waiting.pop()
        for entry, is_folder in _entries(path):
            inside = image_id(name, entry.name)
            if is_folder and not is_left_out(inside):
                if not entry.name.startswith("."):
                    waiting.append((inside, Path(entry.path)))
            elif (is_folder or entry.name.lower().endswith(ENDINGS)) and is_left_out(inside):
                found.append(readable(inside))
    return tuple(sorted(found[:MOST]))


def _entries(path: Path) -> Iterator[tuple[os.DirEntry[str], bool]]:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                # Most names are plain, and telling so is quick.
                if is_folder or not entry.name.isprintable() or len(entry.path) > 1000 or os.name == "nt":
                    yield entry, is_folder
    except OSError:
        return  # gone, or closed to us: the index says so


def readable(name: str) -> str:
    """A name with escapes for what cannot be written: `caf\\xe9.png`."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
