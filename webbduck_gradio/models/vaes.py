"""VAEs of their own, in `checkpoint/vae`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import ModelError, RequestError, UnreadableModelError
from ..settings import Settings
from .foreign.candidates import foreign_candidates
from .foreign.folders import ModelFolder
from .listing import bundled_last, model_folders
from .probe import vae
from .probe.folder_files import weight_files
from .probe.safetensors_header import PICKLE_ENDINGS, PICKLE_REASON
from .scan import Candidate, Folders, Unread, candidates, stamp_of


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
    origin: str = ""
    """Label of the other program's folder that it lies in; "" = our own."""


def missing_vae(checkpoint: str, installed: Sequence[Vae]) -> RequestError:
    """The error for a checkpoint without a VAE where none was chosen."""
    names = [each.name for each in installed if each.unusable is None]
    if not names:
        text = f"{checkpoint} has no VAE of its own; put one for SDXL into checkpoint/vae."
        return RequestError(text, field="vae")
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    text = f"{checkpoint} has no VAE of its own; choose one (vae): {', '.join(names[:8])}{more}."
    return RequestError(text, field="vae")


def find_vaes(settings: Settings, known: Folders, foreign: Sequence[ModelFolder] = ()) -> tuple[Vae, ...]:
    """Those in `checkpoint/vae` by name, then those of other programs' folders. What cannot be read is noted
    in `known`."""
    root = settings.checkpoints / "vae"
    own = candidates(root, folders=False, known=known)
    roots = {root, *(folder.path for folder in foreign)}
    found = [
        _of_file(each, known)
        for each in own + foreign_candidates(foreign, own, known)
        if not _is_part(each.path, roots)
    ]
    for origin, folder in [("", root), *((each.origin, each.path) for each in foreign)]:
        found += [_of_folder(path, origin, known) for path in model_folders(folder, known).values()]
    return bundled_last(found)


def _is_part(path: Path, roots: Collection[Path]) -> bool:
    """Whether a file belongs to a folder in diffusers layout."""
    return path.parent not in roots and (path.parent / "config.json").is_file()


def _of_file(each: Candidate, known: Folders) -> Vae:
    reason = known.probed(each.path, each.stamp, lambda: _why_unusable(each.path, known))
    stamp = stamp_of(each.path)
    return Vae(each.name, each.path, "single_file", each.size, reason, each.path, stamp, origin=each.origin)


def _of_folder(folder: Path, origin: str, known: Folders) -> Vae:
    files = weight_files(folder)
    size = sum(file.stat().st_size for file in files)
    stamp = "+".join(map(stamp_of, files))
    weights = files[0] if len(files) == 1 else None
    name = f"{origin}/{folder.name}" if origin else folder.name
    reason = _why_unusable(folder, known)
    return Vae(name, folder, "diffusers", size, reason, weights, stamp, origin=origin)


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
