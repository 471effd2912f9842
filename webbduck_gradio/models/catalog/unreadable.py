"""What is said and done while a folder of models, or a file in it, cannot be read.

A drive that is unplugged, a share that hangs or a lack of handles passes. What was known of the models stays,
with a sentence about it, until the folder can be read again and tells what is there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from ...errors import WebbDuckError
from ...request import GenerationRequest
from ...settings import Settings
from .. import prompt_resolver
from ..scan import Folders, Unread, why

if TYPE_CHECKING:
    from .registry import Registry


class _OnDisk(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...


Model = TypeVar("Model", bound=_OnDisk)


def kept(before: Iterable[Model], now: Mapping[str, object], known: Folders) -> list[Model]:
    """Models that were listed and are not found now, because where they lie could not be read."""
    return [each for each in before if each.name not in now and known.is_unread(each.path)]


def sentences(unread: Sequence[Unread], paths: Sequence[Path], settings: Settings) -> list[str]:
    """One for each folder and file that could not be read in a look. `paths`: the models that are listed."""
    said = []
    for each in unread:
        above = any(other.path != each.path and each.path.is_relative_to(other.path) for other in unread)
        stays = any(path.is_relative_to(each.path) for path in paths)
        if above or (not stays and not each.why.startswith("cannot be read")):
            continue
        rest = "what was known of it stays, and it is read again by itself when it is back"
        said.append(f"{_called(each.path, settings)} {each.why}; {rest}.")
    return list(dict.fromkeys(said))


def _called(path: Path, settings: Settings) -> str:
    """A folder or file of models as people know it: by its path only for who sits at this computer."""
    for root, what in ((settings.loras, "LoRA"), (settings.checkpoints, "checkpoint")):
        if path.is_relative_to(root):
            shown = f" {path}" if settings.is_loopback_only else ""
            below = path.relative_to(root).as_posix()
            if below == ".":
                return f"The {what} folder{shown}"
            return f"{path if settings.is_loopback_only else below} in the {what} folder"
    return str(path) if settings.is_loopback_only else f"{path.name} in another folder of models"


def obstacle(registry: Registry, request: object) -> str | None:
    """Why a request has to wait for a folder of its models, in one sentence; None where it need not.

    A model that alone is gone or forbidden is no such reason: its job fails with what is wrong. Never raises.
    """
    if not isinstance(request, GenerationRequest):
        return None
    if registry.unread.unread and not registry.has_checkpoint(request.base_model):
        registry.refresh(patient=True)  # it may be back since the last look
    try:
        models = [registry.checkpoint(request.base_model)]
        if request.second_pass_model:
            models.append(registry.checkpoint(request.second_pass_model))
        paths = [model.path for model in models]
        paths += [lora.path for lora, _ in prompt_resolver.resolve_prompt(registry, request).loras]
    except WebbDuckError:
        return None
    for path in paths:
        if (reason := _away(path, registry.unread)) is not None:
            folder = _called(path.parent, registry.settings)
            return f"{folder} {reason}; when it is back, the queue goes on by itself."
    return None


def _away(path: Path, known: Folders) -> str | None:
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
