"""What other programs downloaded into Hugging Face's cache: diffusers folders and LoRAs. Only read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .scan import Candidate, candidates, is_text

PREFIX = "hf/"
"""Before the names of these models, so that none stands for one of the user's own folders."""


def hub_checkpoints(cache: Path | None) -> list[Candidate]:
    """Snapshots in diffusers layout, as hf/OWNER/NAME."""
    found = []
    for name, snapshot in _snapshots(cache):
        if (snapshot / "model_index.json").is_file():
            whole = candidates(snapshot.parent, folders=True)
            found += [replace(each, name=name) for each in whole if each.path == snapshot]
    return found


def hub_loras(cache: Path | None) -> list[Candidate]:
    """Weights at the top of snapshots that are no whole model, as hf/OWNER/NAME or hf/OWNER/NAME/FILE.

    Which of these are LoRAs, only their headers tell.
    """
    found = []
    for name, snapshot in _snapshots(cache):
        if (snapshot / "model_index.json").is_file() or (snapshot / "config.json").is_file():
            continue
        files = [
            each
            for each in candidates(snapshot, folders=True)
            if each.path.parent == snapshot and each.path.suffix == ".safetensors"
        ]
        for each in files:
            found.append(replace(each, name=name if len(files) == 1 else f"{name}/{each.name}"))
    return found


def _snapshots(cache: Path | None) -> Iterator[tuple[str, Path]]:
    """(name, folder of the newest revision) of each model in the cache."""
    if cache is None or not cache.is_dir():
        return
    for repository in sorted(filter(lambda path: is_text(path.name), cache.glob("models--*"))):
        revision = ""
        with contextlib.suppress(OSError, ValueError):
            revision = (repository / "refs" / "main").read_text("utf-8").strip()
        snapshot = repository / "snapshots" / revision if revision else None
        if snapshot is None or not snapshot.is_dir():
            others = [each for each in (repository / "snapshots").glob("*") if each.is_dir()]
            snapshot = max(others, key=lambda each: each.stat().st_mtime, default=None)
        if snapshot is not None:
            yield PREFIX + repository.name.removeprefix("models--").replace("--", "/"), snapshot
