"""Which files of other programs' folders are models, and what they are called here."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from ..scan import ENDINGS, Candidate, Folders, candidates
from .folders import ModelFolder


def foreign_candidates(
    found: Iterable[ModelFolder],
    own: Iterable[Candidate],
    known: Folders,
    folders: bool = False,
    endings: Collection[str] = ENDINGS,
) -> list[Candidate]:
    """The models of other programs' folders, in the order of these; `folders` and `endings` as in
    `scan.candidates`.

    Their names begin with the label of their program's folder. A file that is among the `own` ones, or that
    was found before, also through links, is left out. What cannot be read is noted in `known`.
    """
    seen = {each.real for each in own}
    names: set[str] = set()
    listed = []
    for folder in found:
        for each in candidates(folder.path, folders, folder.skip, known, endings):
            if each.real in seen or (entry := _entry(folder, each)) is None:
                continue
            seen.add(each.real)
            name = next(free for free in _names(folder, entry, each.name) if free not in names)
            names.add(name)
            listed.append(replace(each, name=name, origin=folder.origin))
    return listed


def bare_name(name: str, origin: str) -> str:
    """A model's name without the label of its folder."""
    return name.removeprefix(f"{origin}/") if origin else name


def _entry(folder: ModelFolder, each: Candidate) -> str | None:
    """The path below the folder by which its program knows a file or the folder that holds it; None for what
    is not of this kind."""
    relative = PurePosixPath(each.path.relative_to(folder.path).as_posix())
    if folder.only is None:
        return str(relative)
    ways = (str(way) for way in (relative, *relative.parents))
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
