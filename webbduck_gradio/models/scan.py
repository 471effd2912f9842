"""Which files and folders of a model folder are models."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .header import PICKLE_ENDINGS

UNFINISHED = (".part", ".tmp", ".crdownload", ".aria2", ".download")

Signature = tuple[tuple[str, int, int], ...]
"""(name, bytes, modified in ns) of each file that counts: equal as long as nothing has to be read again."""


def model_entries(root: Path, folders: bool) -> Iterator[tuple[str, Path]]:
    """(name, path) of every model below `root`, nested ones too, sorted by path.

    The name is the path below `root` with `/`, without `.safetensors`. With `folders`, a folder with a
    model_index.json is one model (diffusers layout). Links are followed, each real folder once.
    """
    taken: set[str] = set()
    for path in sorted(_candidates(root, folders, set()), key=lambda path: (path.is_file(), path.as_posix())):
        relative = path.relative_to(root).as_posix()
        name = relative if path.is_dir() else relative.removesuffix(".safetensors")
        if name in taken:  # "a/" and "a.safetensors": the file keeps its ending
            name = relative
        taken.add(name)
        yield name, path


def _candidates(folder: Path, folders: bool, seen: set[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name.endswith(UNFINISHED):
            continue
        if _is_folder(entry):
            if folders and (path / "model_index.json").is_file():
                yield path
            else:
                yield from _candidates(path, folders, seen)
        elif path.suffix.lower() in PICKLE_ENDINGS | {".safetensors"}:
            yield path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def signature(path: Path) -> Signature:
    """Of a file: its own; of a folder: that of all JSON and weight files inside, and of a sidecar."""
    files = [path, path.with_suffix(".yaml")]
    if path.is_dir():
        files = sorted(
            file
            for pattern in ("*.json", "*/*.json", "*/*.safetensors", "*/merges.txt")
            for file in path.glob(pattern)
        )
    return tuple(found for file in files if (found := _stamp(file)))


def _stamp(file: Path) -> tuple[str, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return file.as_posix(), status.st_size, status.st_mtime_ns
