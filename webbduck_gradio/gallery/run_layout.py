"""Contents of a run folder: images, upscaled images and meta.json."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..request import upgrade_stored_request
from ..request.samplers import joined_of
from ..storage.reading import read_json
from . import upscaled_images
from .upscaled_images import ENDINGS

META = "meta.json"
RUN_NAME = re.compile(r"^(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)(?:-(\d+))?$")
NOT_IN_IDS = re.compile("[\x00-\x1f\ud800-\udfff\\\\:]" if os.name == "nt" else "[\x00-\x1f\ud800-\udfff]")
"""Backslash and colon are path syntax on Windows only; elsewhere they are ordinary characters."""
MAX_META_BYTES = 4 * 2**20
HEAD_LETTERS = 600
"""Length at which the prompt shown above a run is cut."""


@dataclass(frozen=True)
class ImageInfo:
    """One image. `variants`: ids of its upscaled images and kept stages. Sizes are None if the file cannot be
    read. `prompt`: as of its run."""

    id: str
    seed: int | None
    size_bytes: int
    modified: float
    variants: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    favourite: bool = False
    problem: str | None = None
    prompt: str | None = None


@dataclass(frozen=True)
class RunInfo:
    """A folder with at least one image. `meta` is the content of meta.json ({} if missing or not requested);
    `prompt` and `facts` (checkpoint, sampler) are what a listing shows.

    `images` holds the matching images, at most `rows.MAX_SHOWN`; `total` counts all images of the folder
    except variants.
    """

    id: str
    created: float
    images: tuple[ImageInfo, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None
    total: int = 0
    prompt: str | None = None
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Folder:
    """A folder as it is on disk. `variant_of`: upscaled image or kept stage -> its original, by name."""

    id: str
    created: float
    files: Mapping[str, os.stat_result]
    variant_of: Mapping[str, str]
    meta: Mapping[str, Any]
    problem: str | None


def is_image_id(image_id: object) -> bool:
    """Whether this is a well-formed image id: a relative path of plain names with an image extension."""
    if not isinstance(image_id, str) or len(image_id) > 1024 or not image_id.lower().endswith(ENDINGS):
        return False
    if NOT_IN_IDS.search(image_id):  # names that are not UTF-8 contain lone surrogates
        return False
    parts = image_id.split("/")
    return all(part and not part.startswith(".") for part in parts)


def image_id(run_id: str, name: str) -> str:
    """Id of a file in a run. Images directly in the output folder belong to the run ''."""
    return f"{run_id}/{name}" if run_id else name


def stamp(folder: Path) -> str:
    """A string that changes when a file of the folder is added or removed, or meta.json is written."""
    try:
        meta = (folder / META).stat().st_mtime_ns
    except OSError:
        meta = 0
    return f"{folder.stat().st_mtime_ns}-{meta}"


def read_folder(root: Path, run_id: str) -> Folder | None:
    """The images directly in one folder; None if there are none."""
    folder = root / run_id
    files = {}
    for entry in sorted(os.scandir(folder), key=lambda entry: name_order(entry.name)):
        if is_image_id(image_id(run_id, entry.name)) and entry.is_file(follow_symlinks=False):
            with suppress(FileNotFoundError):  # deleted meanwhile
                files[entry.name] = entry.stat()
    if not files:
        return None
    meta, problem = read_meta(folder) if run_id else ({}, None)
    newest = max(stat.st_mtime for stat in files.values())
    return Folder(
        run_id, _created(run_id, meta, newest), files, upscaled_images.originals(folder, files), meta, problem
    )


def read_meta(folder: Path) -> tuple[dict[str, Any], str | None]:
    """A run's meta.json, upgraded to the current format, and a sentence if it is unusable."""
    path = folder / META
    try:
        if path.stat().st_size > MAX_META_BYTES:
            return {}, f"{folder.name}/{META} is too large to be ours; it is left as it is."
        meta = read_json(path, MAX_META_BYTES)
    except FileNotFoundError:
        return {}, None
    except (OSError, ValueError):
        return {}, f"{folder.name}/{META} cannot be read; the pictures are shown without it."
    if not isinstance(meta, dict):
        return {}, f"{folder.name}/{META} holds no settings; the pictures are shown without it."
    if isinstance(meta.get("request"), dict) and not {"masked_content", "sampler"} <= meta["request"].keys():
        # Written by an earlier release of this version. The first version (no `request`) needs no upgrade:
        # its "keep" already meant that the masked area is protected.
        now = upgrade_stored_request(meta["request"])
        meta = meta | {"inpainting_fill": now.get("inpainting_fill"), "request": now}
    return meta, None


def prompt_head(folder: Folder) -> dict[str, Any]:
    """The part of a folder's record that a listing shows: `prompt`, `facts`, `problem` of `RunInfo`."""
    prompt = folder.meta.get("prompt")
    facts = (folder.meta.get("base_model"), joined_of(folder.meta))
    return {
        "prompt": prompt[:HEAD_LETTERS] if isinstance(prompt, str) else None,
        "facts": [each for each in facts if isinstance(each, str) and each],
        "problem": folder.problem,
    }


def is_run_name(run_id: str) -> bool:
    """Whether the name is a run name: date and time, as in the first version."""
    return RUN_NAME.match(run_id) is not None


def is_recorded(meta: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The entry of this image in meta.json (seed, width, height, warnings), or None."""
    images = meta.get("images")
    entry = images.get(name) if isinstance(images, dict) else None
    return entry if isinstance(entry, dict) else None


def name_order(name: str) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """Natural sort key: 2.png before 10.png, RUN before RUN-2 before RUN-10."""
    stem, dot, ending = name.rpartition(".")
    parts = re.split(r"(\d+)", stem if dot else name)
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part), ending


def _created(run_id: str, meta: Mapping[str, Any], fallback: float) -> float:
    """Seconds since 1970 from meta.json, else from the folder's name, else `fallback`."""
    recorded_at = meta.get("timestamp")
    if isinstance(recorded_at, (int, float)) and not isinstance(recorded_at, bool) and 0 < recorded_at < 1e11:
        return float(recorded_at)
    match = RUN_NAME.match(run_id)
    if match:
        try:
            seconds = time.mktime(time.strptime(match[1], "%Y-%m-%d_%H-%M-%S"))
        except (ValueError, OverflowError):
            return fallback
        return seconds + min(int(match[2] or 1) - 1, 999) / 1000  # -2 and -10: same second
    return fallback
