"""Which files and folders of a model folder are models: told by listing, without opening any."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .header import PICKLE_ENDINGS

UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".aria2", ".download", ".opdownload", ".incomplete")
ENDINGS = PICKLE_ENDINGS | {".safetensors"}
PICTURES = (
    ".preview.png",
    ".png",
    ".preview.jpg",
    ".jpg",
    ".preview.jpeg",
    ".jpeg",
    ".preview.webp",
    ".webp",
)
"""Endings of a preview beside NAME.safetensors, the best first."""
NOTES = (".json", ".civitai.info")
"""Endings of what other programs note beside NAME.safetensors, the one to believe first."""


@dataclass(frozen=True)
class Candidate:
    """A file or folder that may be a model. `stamp` is equal as long as nothing has to be read again."""

    name: str
    path: Path
    is_folder: bool
    stamp: str
    size: int
    modified: float
    """Seconds since 1970 of the last change; 0 where it cannot be told."""
    beside: Mapping[str, tuple[Path, str]] = field(default_factory=dict)
    """Files of the same name with another ending: ending -> (path, stamp)."""

    def preview(self) -> tuple[Path, str] | None:
        """The picture beside it, with its stamp."""
        return next((self.beside[ending] for ending in PICTURES if ending in self.beside), None)


def is_text(name: str) -> bool:
    """Whether a file's name is UTF-8. One that is not could be written into no JSON and no database."""
    return not _NOT_TEXT.search(name)


_NOT_TEXT = re.compile("[\ud800-\udfff]")
"""What Python reads other bytes as."""


def unreadable_names(root: Path, endings: Collection[str] = ENDINGS) -> list[str]:
    """A sentence for each such file, and each folder, below `root` that is left out because of its name."""
    said: list[str] = []
    seen: set[str] = set()
    for path, folders, files in os.walk(root, followlinks=True):
        for name in folders + [each for each in files if os.path.splitext(each)[1].lower() in endings]:
            if not is_text(name):
                shown = os.fsencode(name).decode("utf-8", "backslashreplace")
                where = Path(path).relative_to(root.parent).as_posix()
                said.append(f"The name {shown} in {where} is not UTF-8; rename it to use it.")
        # Links may lead in a circle.
        real = {name: os.path.realpath(os.path.join(path, name)) for name in folders if is_text(name)}
        folders[:] = [name for name in real if not name.startswith(".") and real[name] not in seen]
        seen.update(real.values())
    return sorted(said)


def candidates(root: Path, folders: bool, skip: frozenset[str] = frozenset()) -> list[Candidate]:
    """Every model below `root`, nested ones too, sorted by path.

    The name is the path below `root` with `/`, without `.safetensors`. With `folders`, a folder with a
    model_index.json is one model (diffusers layout). Links are followed, each real folder once. `skip`
    names folders directly below `root` to leave out.
    """
    taken: set[str] = set()
    named = []
    found = sorted(_found(root, folders, set(), skip), key=lambda each: (not each[1], each[0].as_posix()))
    for path, is_folder, listed in found:
        relative = path.relative_to(root).as_posix()
        name = relative if is_folder else relative.removesuffix(".safetensors")
        if name in taken:  # "a/" and "a.safetensors": the file keeps its ending
            name = relative
        taken.add(name)
        named.append(_candidate(name, path, is_folder, listed))
    return named


def model_entries(root: Path, folders: bool) -> Iterator[tuple[str, Path]]:
    """(name, path) of `candidates`."""
    return ((each.name, each.path) for each in candidates(root, folders))


Listed = Mapping[str, "os.DirEntry[str]"]


def _found(
    folder: Path, folders: bool, seen: set[Path], skip: frozenset[str] = frozenset()
) -> Iterator[tuple[Path, bool, Listed]]:
    """(path, whether it is a folder, what lies beside it)."""
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as entries:
            listed = {entry.name: entry for entry in entries}
    except OSError:
        return
    for name, entry in sorted(listed.items()):
        if name.startswith(".") or name.endswith(UNFINISHED) or not is_text(name):
            continue
        path = Path(entry.path)
        if _is_folder(entry):
            if name in skip:
                continue
            if folders and (path / "model_index.json").is_file():
                yield path, True, {}
            else:
                yield from _found(path, folders, seen)
        elif os.path.splitext(name)[1].lower() in ENDINGS:
            yield path, False, listed


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _candidate(name: str, path: Path, is_folder: bool, listed: Listed) -> Candidate:
    if is_folder:
        return _folder(name, path)
    try:
        status = _status(listed[path.name])
    except OSError:
        return Candidate(name, path, False, "gone", 0, 0.0)
    beside = {}
    for ending in (*NOTES, *PICTURES, ".yaml"):
        entry = listed.get(path.stem + ending)
        if entry is not None:
            try:
                beside[ending] = Path(entry.path), _stamp(_status(entry))
            except OSError:
                continue
    stamp = _stamp(status)
    if ".yaml" in beside:
        stamp += "+" + beside[".yaml"][1]
    if path.stem == "adapter_model" and "adapter_config.json" in listed:  # peft's, which tells a LoRA's alpha
        stamp += "+" + stamp_of(Path(listed["adapter_config.json"].path))
    return Candidate(name, path, False, stamp, status.st_size, status.st_mtime, beside)


def _folder(name: str, path: Path) -> Candidate:
    """Its stamp is that of all JSON and weight files inside."""
    digest, size, modified = hashlib.sha256(), 0, 0.0
    for pattern in ("*.json", "*/*.json", "*/*.safetensors", "*/merges.txt"):
        for file in sorted(path.glob(pattern)):
            try:
                status = file.stat()
            except OSError:
                continue
            digest.update(f"{file.relative_to(path)}\0{_stamp(status)}\0".encode("utf-8", "surrogatepass"))
            size += status.st_size if file.suffix in ENDINGS else 0
            modified = max(modified, status.st_mtime)
    return Candidate(name, path, True, digest.hexdigest()[:32], size, modified)


def _status(entry: os.DirEntry[str]) -> os.stat_result:
    # On Windows the listing leaves out what tells files apart.
    return os.stat(entry.path) if os.name == "nt" else entry.stat()


def _stamp(status: os.stat_result) -> str:
    # The permissions belong to it: a file that may be read at last has to be read again.
    mode = stat.S_IMODE(status.st_mode)
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}:{mode:o}"


def stamp_of(path: Path) -> str:
    """Stamp of one file, "gone" where it is not there."""
    try:
        return _stamp(path.stat())
    except OSError:
        return "gone"


def stamps_below(*roots: Path) -> tuple[tuple[str, str], ...]:
    """(path, stamp) of every file below these folders, for telling whether anything is different."""
    found = []
    for root in roots:
        for folder, _, names in os.walk(root):
            found += [(path := os.path.join(folder, name), stamp_of(Path(path))) for name in names]
    return tuple(sorted(found))
