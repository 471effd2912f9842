"""What other programs downloaded into Hugging Face's cache: diffusers folders and LoRAs. Only read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..storage.reading import read_regular
from .scan import Candidate, Folders, candidates, is_text

PREFIX = "hf/"
"""Before the names of these models, so that none stands for one of the user's own folders."""


def hub_checkpoints(cache: Path | None, known: Folders | None = None) -> list[Candidate]:
    """Snapshots in diffusers layout, as hf/OWNER/NAME."""
    found = []
    for name, snapshot in _snapshots(cache, known or Folders()):
        if (snapshot / "model_index.json").is_file():
            whole = candidates(snapshot.parent, folders=True, known=known)
            found += [replace(each, name=name) for each in whole if each.path == snapshot]
    return found


def hub_loras(cache: Path | None, known: Folders | None = None) -> list[Candidate]:
    """Weights at the top of snapshots that are no whole model, as hf/OWNER/NAME or hf/OWNER/NAME/FILE.

    Which of these are LoRAs, only their headers tell.
    """
    found = []
    for name, snapshot in _snapshots(cache, known or Folders()):
        if (snapshot / "model_index.json").is_file() or (snapshot / "config.json").is_file():
            continue
        files = [
            each
            for each in candidates(snapshot, folders=True, known=known)
            if each.path.parent == snapshot and each.path.suffix == ".safetensors"
        ]
        for each in files:
            found.append(replace(each, name=name if len(files) == 1 else f"{name}/{each.name}"))
    return found


def _snapshots(cache: Path | None, known: Folders) -> Iterator[tuple[str, Path]]:
    """(name, folder of the newest revision) of each model; what cannot be read is noted in `known`."""
    listed = known.names(cache) if cache is not None else None
    for name in sorted(listed or {}):
        if not name.startswith("models--") or not is_text(name):
            continue
        repository = Path((listed or {})[name].path)
        try:
            snapshot = _newest(repository)
        except OSError as error:
            known.cannot_read(repository, error)
            continue
        if snapshot is not None:
            yield PREFIX + name.removeprefix("models--").replace("--", "/"), snapshot


def _newest(repository: Path) -> Path | None:
    revision = ""
    with contextlib.suppress(OSError, ValueError):
        revision = read_regular(repository / "refs" / "main", 1000).decode().strip()
    snapshot = repository / "snapshots" / revision if revision else None
    if snapshot is not None and snapshot.is_dir():
        return snapshot
    others = [each for each in (repository / "snapshots").glob("*") if each.is_dir()]
    return max(others, key=lambda each: each.stat().st_mtime, default=None)
