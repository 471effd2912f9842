"""Captioners: models in transformers' layout, and plug-ins of the user's own."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import ModelError, UnreadableModelError
from ..settings import HOME, Settings
from .foreign.folders import ModelFolder
from .listing import bundled_last
from .probe.checkpoint import read_json, weight_files
from .probe.safetensors_header import read_header
from .scan import Folders, Unread, is_text

STYLES = ("detailed", "short", "sd_prompt", "midjourney", "booru")
"""How a captioner may be asked to write."""


@dataclass(frozen=True)
class Captioner:
    """`folder`: a model in transformers' layout; `plugin`: a captioner.py of the user's own."""

    name: str
    path: Path
    kind: Literal["folder", "plugin"]
    unusable: str | None


def find_captioners(
    settings: Settings, known: Folders, foreign: Sequence[ModelFolder] = ()
) -> tuple[Captioner, ...]:
    """Plug-ins first, then folders in `checkpoint/caption`, the bundled one last. Other programs have none.

    A name stands for the first one that has it. What cannot be read is noted in `known`.
    """
    found: dict[str, Captioner] = {}
    for root in (settings.plugins, HOME / "plugins"):
        for path in sorted((root / "captioners").glob("*/captioner.py")) if root else []:
            name = path.parent.name
            if is_text(name):
                found.setdefault(name, Captioner(name, path, "plugin", _why_not_owned(path)))
    for name, entry in sorted((known.names(settings.checkpoints / "caption") or {}).items()):
        folder = Path(entry.path)
        if not is_text(name):
            continue
        try:
            os.stat(folder / "config.json")
        except (FileNotFoundError, NotADirectoryError):
            if entry.is_symlink() and not folder.exists():
                known.unread.append(Unread(folder, "leads to something that is not there"))
            continue
        except OSError as error:
            known.cannot_read(folder, error)
            continue
        found.setdefault(name, Captioner(name, folder, "folder", _why_no_captioner(folder, known)))
    return bundled_last(found.values())


def _why_not_owned(path: Path) -> str | None:
    """A plug-in runs as the user, so nobody else may be able to write it or to put another in its place."""
    if not hasattr(os, "getuid"):
        return None
    own = [path, *list(path.parents)[:3]]  # NAME, captioners, and the folder of plug-ins
    for below, folders, files in os.walk(path.parent):  # compiled code and what it imports is run as well
        own += [Path(below, name) for name in (*folders, *files)]
    not_run = f"The plug-in {path.parent.name} is not run"
    try:
        for each in own:
            status = each.stat()
            if status.st_uid != os.getuid():
                return f"{not_run}: {each.name} is not yours; copy it to your own."
            if _others_write(status):
                return (
                    f"{not_run}: others than you can change {each.name}; `chmod go-w {each.name}` forbids it."
                )
        # Whoever may write a folder can put another in the place of what lies in it, unless it is sticky.
        for above in (*path.absolute().parents, *path.resolve().parents):
            status = above.stat()
            if _others_write(status) and not status.st_mode & stat.S_ISVTX:
                return (
                    f"{not_run}: others than you can change {above.name}, a folder above it; move "
                    "the plug-ins to a folder of your own."
                )
    except OSError as error:
        return f"{not_run}: whose it is cannot be told ({(error.strerror or type(error).__name__).lower()})."
    return None


def _others_write(status: os.stat_result) -> bool:
    by_group = status.st_mode & stat.S_IWGRP and not _is_own_group(status.st_gid)
    return bool(by_group or status.st_mode & stat.S_IWOTH)


def _is_own_group(gid: int) -> bool:
    """Whether a group is the user's alone, as most systems make one for each user."""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_name == user and set(group.gr_mem) <= {user}


def _why_no_captioner(folder: Path, known: Folders) -> str | None:
    try:
        read_json(folder / "config.json", folder.name)
        files = weight_files(folder)
        if not files:
            return f"{folder.name} has no safetensors weights; get that version of the model."
        for file in files:
            read_header(file)
    except UnreadableModelError as error:
        known.unread.append(Unread(folder, f"cannot be read ({error.why})"))
        return str(error)
    except ModelError as error:
        return str(error)
    return None
