"""VAEs of their own, in `checkpoint/vae`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import ModelError, RequestError, UnreadableModelError
from ..settings import Settings
from .listing import bundled_last, model_folders
from .probe import vae
from .probe.folder_files import weight_files
from .probe.safetensors_header import PICKLE_ENDINGS, PICKLE_REASON
from .scan import Folders, Unread, candidates, stamp_of


@dataclass(frozen=True)
class Vae:
    """`unusable`: the reason in one sentence, None for a sound one."""

    name: str
    path: Path
    layout: Literal["diffusers", "single_file"]
    size_bytes: int
    unusable: str | None
    weights: Path | None = None
    """Its file; of a folder the one with the weights, None if there are several."""
    stamp: str = ""
    """Equal as long as its weights were not written again."""
    hash: str | None = None
    """AutoV2 of `weights`, once computed."""
    hashes: tuple[str, ...] = ()
    """SHA-256 of `weights` and of what follows its header, once computed."""


def missing_vae(checkpoint: str, installed: Sequence[Vae]) -> RequestError:
    """The error for a checkpoint without a VAE where none was chosen."""
    names = [each.name for each in installed if each.unusable is None]
    if not names:
        text = f"{checkpoint} has no VAE of its own; put one for SDXL into checkpoint/vae."
        return RequestError(text, field="vae")
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    text = f"{checkpoint} has no VAE of its own; choose one (vae): {', '.join(names[:8])}{more}."
    return RequestError(text, field="vae")


def find_vaes(settings: Settings, known: Folders) -> tuple[Vae, ...]:
    """By name. What cannot be read is noted in `known`."""
    root = settings.checkpoints / "vae"
    found = []
    for each in candidates(root, folders=False, known=known):
        if each.path.parent != root and (each.path.parent / "config.json").is_file():
            continue  # a folder in diffusers layout, below
        reason = _why_unusable(each.path, known)
        stamp = stamp_of(each.path)
        found.append(Vae(each.name, each.path, "single_file", each.size, reason, each.path, stamp))
    for folder in model_folders(root, known).values():
        files = weight_files(folder)
        size = sum(file.stat().st_size for file in files)
        stamp = "+".join(map(stamp_of, files))
        weights = files[0] if len(files) == 1 else None
        reason = _why_unusable(folder, known)
        found.append(Vae(folder.name, folder, "diffusers", size, reason, weights, stamp))
    return bundled_last(found)


def _why_unusable(path: Path, known: Folders) -> str | None:
    if path.suffix.lower() in PICKLE_ENDINGS and not path.is_dir():
        return f"{path.name} {PICKLE_REASON}."
    try:
        if path.is_dir():
            vae.probe_folder(path)
        else:
            vae.probe_file(path)
    except UnreadableModelError as error:
        known.unread.append(Unread(path, f"cannot be read ({error.why})"))
        return str(error)
    except ModelError as error:
        return str(error)
    return None
