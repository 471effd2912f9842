"""Upscalers and captioners: models beside the checkpoints."""

from __future__ import annotations

import importlib.util
import math
import os
import stat
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from ..errors import ModelError, UnreadableModelError
from ..settings import HOME, Settings
from .catalog import unreadable
from .catalog.lookup import find, unknown
from .probe.checkpoint import read_json, weight_files
from .probe.safetensors_header import PICKLE_ENDINGS, PICKLE_REASON, read_header
from .scan import Folders, Unread, candidates, is_text

STYLES = ("detailed", "short", "sd_prompt", "midjourney", "booru")
"""How a captioner may be asked to write."""
BUNDLED = "webbduck-starter"
"""How the names of the bundled models begin."""
LANCZOS = "Lanczos"
"""The upscaler that is always there; it adds no detail."""
MAX_UPSCALED_PIXELS = 8192 * 8192


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


Tool = TypeVar("Tool", Upscaler, Captioner)


class Tools:
    """Upscalers and captioners as they are now; what cannot be read now stays as it was. Safe for threads."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._lock = threading.Lock()
        self._upscaler_folders, self._captioner_folders = Folders(), Folders()
        self._upscalers: tuple[Upscaler, ...] = ()
        self._captioners: tuple[Captioner, ...] = ()

    def upscalers(self) -> tuple[Upscaler, ...]:
        with self._lock:
            known = self._upscaler_folders.look()
            self._upscalers = _as_they_were(find_upscalers(self._settings, known), self._upscalers, known)
            return self._upscalers

    def captioners(self) -> tuple[Captioner, ...]:
        with self._lock:
            known = self._captioner_folders.look()
            self._captioners = _as_they_were(find_captioners(self._settings, known), self._captioners, known)
            return self._captioners

    def look(self) -> tuple[list[Unread], list[Path]]:
        """Look again: what cannot be read, and where all of them lie."""
        paths = [each.path for each in self.upscalers()] + [each.path for each in self.captioners()]
        return self._upscaler_folders.unread + self._captioner_folders.unread, paths


def _as_they_were(found: tuple[Tool, ...], before: tuple[Tool, ...], known: Folders) -> tuple[Tool, ...]:
    """`found`, but what cannot be read now as it was `before`."""
    usable = {each.name: each for each in before if not each.unusable}
    now = {each.name: each for each in found}
    for name, each in now.items():
        if each.unusable and name in usable and known.is_unread(each.path):
            now[name] = usable[name]
    now |= {each.name: each for each in unreadable.kept(before, now, known)}
    return tuple(sorted(now.values(), key=lambda each: each.name.startswith(BUNDLED)))


def find_upscalers(settings: Settings, known: Folders | None = None) -> tuple[Upscaler, ...]:
    """By name, the bundled one last: what somebody put there is taken before it. What cannot be read is noted
    in `known`."""
    known = Folders() if known is None else known
    found = [
        Upscaler(each.name, each.path, each.size, _why_broken(each.path, known))
        for each in candidates(settings.checkpoints / "upscale", folders=False, known=known)
    ]
    return tuple(sorted(found, key=lambda each: each.name.startswith(BUNDLED)))


def _why_broken(path: Path, known: Folders) -> str | None:
    if path.suffix.lower() in PICKLE_ENDINGS:
        return f"{path.name} {PICKLE_REASON}."
    try:
        header = read_header(path)
    except UnreadableModelError as error:
        known.unread.append(Unread(path, f"cannot be read ({error.why})"))
        return str(error)
    except ModelError as error:
        return str(error)
    if is_compact({name: tensor.shape for name, tensor in header.tensors.items()}):
        return None
    return None if has_spandrel() else f"{path.name} is of another kind than Compact. {NEEDS_SPANDREL}"


NEEDS_SPANDREL = (
    "Other upscaling models than Compact ones need a package; add it with "
    f"`{sys.executable} -m pip install --no-deps spandrel==0.4.2 einops==0.8.2`."
)
"""Without --no-deps pip would fetch torchvision as well, which nothing here needs."""


def has_spandrel() -> bool:
    """Whether the package for upscaling models of all kinds is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("spandrel", "einops"))


def bare_names(names: Iterable[str]) -> list[str]:
    """Names of weights without what the usual training programs put before them."""
    names = list(names)
    for wrapper in ("params_ema.", "params."):
        if names and all(name.startswith(wrapper) for name in names):
            return [name.removeprefix(wrapper) for name in names]
    return names


def is_compact(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether weights of these names and shapes are a network that `core.realesrgan_compact` builds."""
    found = dict(zip(bare_names(shapes), shapes.values(), strict=True))
    last = sum(name.endswith(".bias") for name in found) * 2 - 2  # every second layer is an activation
    if last < 2:
        return False
    wanted = {f"body.{index}.weight" for index in range(last + 1)}
    wanted |= {f"body.{index}.bias" for index in range(0, last + 1, 2)}
    if found.keys() != wanted or len(found["body.0.weight"]) != 4:
        return False
    width, outputs = found["body.0.weight"][0], found[f"body.{last}.weight"][0]
    scale = math.isqrt(outputs // 3)
    layers = [(width, 3, 3, 3), *[(width, width, 3, 3)] * (last // 2 - 1), (3 * scale * scale, width, 3, 3)]
    return [found[f"body.{index}.weight"] for index in range(0, last + 1, 2)] == layers and all(
        found[f"body.{index}.weight"] == (width,) for index in range(1, last, 2)
    )


def find_captioners(settings: Settings, known: Folders | None = None) -> tuple[Captioner, ...]:
    """Plug-ins first, then folders in `checkpoint/caption`, the bundled one last.

    A name stands for the first one that has it. What cannot be read is noted in `known`.
    """
    known = Folders() if known is None else known
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
    return tuple(sorted(found.values(), key=lambda each: each.name.startswith(BUNDLED)))


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


def by_name(found: tuple[Tool, ...], name: str, what: str) -> Tool:
    """Found by `lookup.find`. Raises `NotFoundError`, or `ModelError` with why it cannot be used."""
    tool = find(name, found).model
    if tool is None:
        names = ", ".join(each.name for each in found if not each.unusable) or "none"
        raise unknown(name, what, found, f"; there are: {names}")
    if tool.unusable:
        raise ModelError(tool.unusable)
    return tool
