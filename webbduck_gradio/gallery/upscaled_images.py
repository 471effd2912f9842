"""Finds the original of each upscaled image in a folder, and the picture of each kept stage.

An upscaled image lies beside its original, as STEM_upscaled.png (-2, -3 ... if taken). If several images
share the stem (photo.jpg and photo.png), the full name is used: photo.jpg_upscaled.png. A stage of
`request.stages` lies beside its picture as STEM_base.png.
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
from ..request.stages import PASSES
from ..storage.images import open_picture
from .metadata.chunk import UPSCALED, source_of

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
"""Extensions of image files."""
VARIANT = re.compile(rf"^(.+)_(upscaled|{'|'.join(PASSES)})(?:-\d+)?$")


def base_of(name: str, siblings: Iterable[str]) -> str:
    """First part of the name of an upscaled image of `name`, in a folder with the files `siblings`."""
    stem = PurePosixPath(name).stem
    pictures = {each for each in siblings if each.lower().endswith(ENDINGS)} - {name}
    return name if any(stem in (each, PurePosixPath(each).stem) for each in pictures) else stem


def made_by(job_id: str, folder: Path, name: str) -> list[str]:
    """Names of the upscaled images of `name` that a job has made."""
    siblings = os.listdir(folder)
    prefix = f"{base_of(name, siblings)}_upscaled"
    upscaled = [each for each in siblings if each.startswith(prefix) and each.endswith(".png")]
    return [each for each in sorted(upscaled) if _about(folder / each).get("job_id") == job_id]


def originals(folder: Path, files: Mapping[str, os.stat_result]) -> dict[str, str]:
    """Upscaled images and stages of a folder -> their originals, by name.

    Left out if the original is gone or ambiguous among images with the same stem, and what has the name of a
    stage but does not say that it is one.
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
            continue  # its original is gone, even if another image has that stem now
        elif match[2] == "upscaled" and len(candidates) == 1:
            found[name] = candidates[0]
    return {name: _root_original(found, name) for name in found}


def is_upscaled(name: str) -> bool:
    """Whether a variant is an upscaled image, by its name."""
    match = VARIANT.match(PurePosixPath(name).stem)
    return bool(match and match[2] == "upscaled")


def _root_original(found: Mapping[str, str], name: str) -> str:
    """The original at the start of a chain of upscaled images."""
    seen = set()
    while name in found and name not in seen:
        seen.add(name)
        name = found[name]
    return name


@lru_cache(2**16)
def _recorded(path: Path, _modified: int, _size: int) -> str:
    """Name of the original as recorded in the image itself, or ""."""
    return (source_of(path) or "").rpartition("/")[2]


def _about(path: Path) -> dict[str, Any]:
    """The record of the upscaling in the image, or {}."""
    try:
        with open_picture(path, path.name) as image:
            about = json.loads(image.info.get(UPSCALED, "null"))
    except (StorageError, ValueError, TypeError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}
