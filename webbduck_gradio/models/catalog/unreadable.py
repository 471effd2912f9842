"""Handles model folders and files that temporarily cannot be read.

An unplugged drive, a hanging network share or a lack of file handles is temporary: known models stay listed,
with a warning, until the folder can be read again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...settings import Settings
from ..foreign.folders import Kind, ModelFolder
from ..scan import Folders, Unread, why

KINDS: Mapping[Kind, str] = {
    "checkpoint": "checkpoint",
    "lora": "LoRA",
    "vae": "VAE",
    "embedding": "embedding",
    "upscale": "upscaler",
    "detect": "detector",
    "controlnet": "ControlNet",
    "wildcards": "wildcard",
    "styles": "style",
}
"""What each kind's folder is called."""


def sentences(
    unread: Sequence[Unread],
    paths: Sequence[Path],
    settings: Settings,
    foreign: Sequence[ModelFolder] = (),
) -> list[str]:
    """One sentence per folder or file that could not be read in a scan. `paths`: the listed models;
    `foreign`: other programs' folders."""
    said = []
    there = [os.fspath(path) for path in paths]
    for each in unread:
        above = any(other.path != each.path and each.path.is_relative_to(other.path) for other in unread)
        at = os.fspath(each.path)
        stays = any(path == at or path.startswith(at + os.sep) for path in there)
        if above or (not stays and not each.why.startswith("cannot be read")):
            continue
        rest = "its known models stay listed, and it is read again automatically when it is back"
        said.append(f"{called(each.path, settings, foreign)} {each.why}; {rest}.")
    return list(dict.fromkeys(said))


def called(path: Path, settings: Settings, foreign: Sequence[ModelFolder] = ()) -> str:
    """Display name of a model folder or file; with its path only if the server is local."""
    roots = [(settings.loras, "LoRA folder"), (settings.checkpoints, "checkpoint folder")]
    roots += [(each.path, f"{KINDS[each.kind]} folder of {each.origin}") for each in foreign]
    for root, what in roots:
        if path.is_relative_to(root):
            shown = f" {path}" if settings.is_loopback_only else ""
            below = path.relative_to(root).as_posix()
            if below == ".":
                return f"The {what}{shown}"
            return f"{path if settings.is_loopback_only else below} in the {what}"
    return str(path) if settings.is_loopback_only else f"{path.name} in another folder of models"


def away(path: Path, known: Folders) -> str | None:
    """Why a model file is temporarily unreadable; None if it is readable, or only the file itself is
    missing."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        os.close(handle)
        return None
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM):
            return why(error)
    try:
        with os.scandir(path.parent):
            pass
    except OSError as error:
        return why(error)
    return next((each.why for each in known.unread if path.is_relative_to(each.path)), None)
