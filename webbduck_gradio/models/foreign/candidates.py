"""Which files of other programs' folders are models, and what they are called here."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from ..probe.converted import is_converted
from ..probe.safetensors_header import PICKLE_ENDINGS
from ..scan import ENDINGS, PICTURES, Candidate, Folders, below, candidates, stamp_of
from .folders import ModelFolder


class Named(Protocol):
    """A model of the catalog. `origin`: label of its program's folder, "" in the studio's own folders."""

    @property
    def name(self) -> str: ...
    @property
    def origin(self) -> str: ...


def foreign_candidates(
    found: Iterable[ModelFolder],
    own: Collection[Candidate],
    known: Folders,
    folders: bool = False,
    endings: Collection[str] = ENDINGS,
) -> list[Candidate]:
    """The models of other programs' folders, in the order of these; `folders` and `endings` as in
    `scan.candidates`.

    Their names begin with the label of their program's folder. A file that is among the `own` ones, or that
    was found before, also through links, is left out, and so is a pickle that was converted to one of the
    `own`. What cannot be read is noted in `known`.
    """
    seen = {each.real for each in own}
    names = {each.name for each in own}
    files = {each.path.name: each.path for each in own}
    listed = []
    for folder in found:
        for each in candidates(folder.path, folders, folder.skip, known, endings):
            if each.real in seen or (entry := _entry(folder, each)) is None:
                continue
            if each.path.suffix.lower() in PICKLE_ENDINGS:
                ours = files.get(f"{each.path.stem}.safetensors")
                if ours is not None and is_converted(each.path, ours):
                    continue
            seen.add(each.real)
            name = next(free for free in _names(folder, entry, each.name) if free not in names)
            names.add(name)
            told = folder.notes.get(entry, {})
            listed.append(
                replace(each, name=name, origin=folder.origin, told=told, beside=_beside(folder, entry, each))
            )
    return listed


def bare_name(name: str, origin: str) -> str:
    """A model's name without the label of its folder."""
    return name.removeprefix(f"{origin}/") if origin else name


def by_bare_name(model: Named) -> tuple[str, str]:
    """Key that sorts models by the names that the page shows; of equal ones our own comes first."""
    return bare_name(model.name, model.origin).casefold(), model.origin


def _beside(folder: ModelFolder, entry: str, each: Candidate) -> Mapping[str, tuple[Path, str]]:
    """What lies beside it, and the picture that its program keeps elsewhere."""
    picture = folder.pictures.get(entry)
    if picture is None or each.preview() is not None:
        return each.beside
    stamp = stamp_of(picture)
    return each.beside if stamp == "gone" else {**each.beside, PICTURES[0]: (picture, stamp)}


def _entry(folder: ModelFolder, each: Candidate) -> str | None:
    """The path below the folder by which its program knows a file or the folder that holds it; None for what
    is not of this kind."""
    relative = below(each.path, folder.path)
    if folder.only is None:
        return relative
    ways = (relative, *map(str, PurePosixPath(relative).parents))
    return next((way for way in ways if way in folder.only), None)


def _names(folder: ModelFolder, entry: str, name: str) -> Iterator[str]:
    """What a model may be called, the first that is free: folders of one program may hold equal names."""
    given = folder.names.get(entry, "").strip()
    called = given.replace("\\", "/").strip("/") or name
    yield f"{folder.origin}/{called}"
    yield f"{folder.origin}/{folder.path.name}/{called}"
    if called != name:
        yield f"{folder.origin}/{name}"
    yield f"{folder.origin}/{folder.path.name}/{os.path.basename(folder.path.parent)}/{name}"
    number = 2
    while True:
        yield f"{folder.origin}/{called} ({number})"
        number += 1
