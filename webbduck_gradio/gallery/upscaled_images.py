"""Which picture of a folder an upscaled copy was made from.

A copy lies beside its original, as STEM_upscaled.png (-2, -3 ... when taken). Where several pictures share
the stem (photo.jpg and photo.png), the copy has the original's whole name: photo.jpg_upscaled.png.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import StorageError
from ..storage.images import open_picture
from .metadata.chunk import UPSCALED

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
"""Of the files that are pictures."""
VARIANT = re.compile(r"^(.+)_upscaled(?:-\d+)?$")


def base_of(name: str, beside: Iterable[str]) -> str:
    """What the name of a copy of picture `name` begins with, in a folder that holds the files `beside`."""
    stem = PurePosixPath(name).stem
    pictures = {each for each in beside if each.lower().endswith(ENDINGS)} - {name}
    return name if any(stem in (each, PurePosixPath(each).stem) for each in pictures) else stem


def made_by(job_id: str, folder: Path, name: str) -> list[str]:
    """Names of the copies of picture `name` that a job has made."""
    beside = os.listdir(folder)
    begin = f"{base_of(name, beside)}_upscaled"
    copies = [each for each in beside if each.startswith(begin) and each.endswith(".png")]
    return [each for each in sorted(copies) if _about(folder / each).get("job_id") == job_id]


def originals(folder: Path, files: Mapping[str, os.stat_result]) -> dict[str, str]:
    """The copies among a folder's pictures, and the picture that each goes back to, by name.

    A copy whose original is gone, or cannot be told from another picture of its stem, is none.
    """
    by_stem: dict[str, list[str]] = {}
    for name in files:
        by_stem.setdefault(PurePosixPath(name).stem, []).append(name)
    found = {}
    for name, stat in files.items():
        match = VARIANT.match(PurePosixPath(name).stem)
        candidates = [*by_stem.get(match[1], ()), *([match[1]] if match[1] in files else [])] if match else []
        if not match or not candidates:
            continue
        recorded = _recorded(folder / name, stat.st_mtime_ns, stat.st_size)
        if recorded in candidates:
            found[name] = recorded
        elif recorded and match[1] in (recorded, PurePosixPath(recorded).stem):
            continue  # of one that is no longer there, whatever is called like it by now
        elif len(candidates) == 1:
            found[name] = candidates[0]
    return {name: _first(found, name) for name in found}


def _first(found: Mapping[str, str], name: str) -> str:
    """The picture that a copy, a copy of that copy and so on go back to."""
    seen = set()
    while name in found and name not in seen:
        seen.add(name)
        name = found[name]
    return name


@lru_cache(2**16)
def _recorded(path: Path, _modified: int, _size: int) -> str:
    """Name of the picture that the copy itself says it was made from; "" where it says nothing."""
    source = _about(path).get("from")
    return source.rpartition("/")[2] if isinstance(source, str) else ""


def _about(path: Path) -> dict[str, Any]:
    """What a copy says of how it was made; {} where it says nothing."""
    try:
        with open_picture(path, path.name) as image:
            about = json.loads(image.info.get(UPSCALED, "null"))
    except (StorageError, ValueError, TypeError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}
