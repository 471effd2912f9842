"""Upscalers and captioners: models beside the checkpoints."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from ..errors import ModelError, UnknownName
from ..settings import HOME, Settings
from .header import PICKLE_ENDINGS, PICKLE_REASON, read_header
from .inspect import read_json, weight_files
from .scan import model_entries

STYLES = ("detailed", "short", "sd_prompt", "midjourney", "booru")
"""How a captioner may be asked to write."""


@dataclass(frozen=True)
class Upscaler:
    """`unusable`: the reason in one sentence, None when it can be used."""

    name: str
    path: Path
    size_bytes: int
    unusable: str | None


@dataclass(frozen=True)
class Captioner:
    """`folder`: a model in transformers' layout; `plugin`: a captioner.py of the user's own."""

    name: str
    path: Path
    kind: Literal["folder", "plugin"]
    unusable: str | None


def find_upscalers(settings: Settings) -> tuple[Upscaler, ...]:
    root = settings.checkpoints / "upscale"
    return tuple(
        Upscaler(name, path, path.stat().st_size, _why_broken(path))
        for name, path in model_entries(root, folders=False)
    )


def _why_broken(path: Path) -> str | None:
    if path.suffix.lower() in PICKLE_ENDINGS:
        return f"{path.name} {PICKLE_REASON}."
    try:
        read_header(path)
    except ModelError as error:
        return str(error)
    return None


def find_captioners(settings: Settings) -> tuple[Captioner, ...]:
    """Plug-ins first, then folders in `checkpoint/caption`; a name stands for the first one that has it."""
    found: dict[str, Captioner] = {}
    for root in (settings.plugins, HOME / "plugins"):
        for path in sorted((root / "captioners").glob("*/captioner.py")) if root else []:
            name = path.parent.name
            found.setdefault(name, Captioner(name, path, "plugin", _why_not_owned(path)))
    for path in sorted((settings.checkpoints / "caption").glob("*/config.json")):
        name = path.parent.name
        found.setdefault(name, Captioner(name, path.parent, "folder", _why_no_captioner(path.parent)))
    return tuple(found.values())


def _why_not_owned(path: Path) -> str | None:
    """A plug-in runs as the user, so nobody else may be able to write it."""
    if not hasattr(os, "getuid"):
        return None
    for each in (path, path.parent):
        status = each.stat()
        if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"The plug-in {path.parent.name} is not run: others than you can change it; fix its owner."
    return None


def _why_no_captioner(folder: Path) -> str | None:
    try:
        read_json(folder / "config.json", folder.name)
        files = weight_files(folder)
        if not files:
            return f"{folder.name} has no safetensors weights; get that version of the model."
        for file in files:
            read_header(file)
    except ModelError as error:
        return str(error)
    return None


Tool = TypeVar("Tool", Upscaler, Captioner)


def by_name(found: tuple[Tool, ...], name: str, what: str) -> Tool:
    """Raises `UnknownName`, or `ModelError` with the reason why it cannot be used."""
    tool = next((each for each in found if each.name == name), None)
    if tool is None:
        names = ", ".join(each.name for each in found if not each.unusable) or "none"
        raise UnknownName(f"There is no {what} named {name[:60]!r}; there are: {names}.")
    if tool.unusable:
        raise ModelError(tool.unusable)
    return tool
