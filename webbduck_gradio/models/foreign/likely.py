"""Where other programs usually lie, for offering their folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...storage.reading import read_json

PARENTS = (
    "",
    "Documents",
    "Desktop",
    "Downloads",
    "AI",
    "apps",
    "Applications",
    "Programs",
    "src",
    "git",
    "pinokio/api",
)
"""Folders below a person's own in which programs are unpacked, whatever their capitals."""
NAMES = (
    "comfyui",
    "stable-diffusion-webui",
    "sd.webui",
    "webui",
    "sd-webui",
    "automatic",
    "sdnext",
    "fooocus",
    "invokeai",
    "swarmui",
    "stableswarmui",
    "stabilitymatrix",
    "stability matrix",
)
"""What names of their folders begin with, in small letters."""
SETTINGS = (".config", "AppData/Roaming", "Library/Application Support")
"""Where settings of programs lie below a person's own folder."""
MOST_NAMES = 2000


def likely_places(home: Path) -> Iterator[Path]:
    """Folders that may be a program's, by their names, and those that settings of programs name."""
    for parent in PARENTS:
        for folder in _alike(home, parent):
            for name in _names(folder):
                if name.casefold().startswith(NAMES):
                    yield folder / name
    if os.name == "nt":
        for drive in "CDEFG":
            root = Path(f"{drive}:\\")
            yield from (root / name for name in _names(root) if name.casefold().startswith(NAMES))
    for settings in (home / each for each in SETTINGS):
        yield settings / "ComfyUI"
        try:
            library = Path(read_json(settings / "StabilityMatrix" / "library.json", 10_000)["LibraryPath"])
            yield from [library] if library.is_absolute() else []
        except (OSError, ValueError, TypeError, KeyError):
            continue


def _alike(home: Path, way: str) -> list[Path]:
    """The folder below `home` in whatever capitals."""
    folders = [home]
    for part in filter(None, way.split("/")):
        folders = [
            each / name for each in folders for name in _names(each) if name.casefold() == part.casefold()
        ]
    return folders


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))[:MOST_NAMES]
    except OSError:
        return []
