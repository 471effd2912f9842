"""Which folders of other programs the studio reads, under which labels.

Those of `--models-from` come first, then those added in the page. `model-folders.json` in the data folder
keeps the added ones and the labels of all, since labels are part of the names of models.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import NameTakenError, NotFoundError, RequestError, StorageError
from ...settings import Settings
from ...storage.atomic import write_atomically
from ...storage.reading import read_json
from ..catalog.lookup import quoted
from ..scan import is_text, why
from .folders import Kind, ModelFolder, Tree
from .layouts import default_label, read
from .reading import changed

log = logging.getLogger(__name__)

MOST = 32
"""Folders that can be added."""
HUB = "hf"
"""What names of models in Hugging Face's cache begin with."""
_LABEL = re.compile(r"[\w.-]{1,60}")


@dataclass(frozen=True)
class _Place:
    path: Path
    label: str
    given: bool
    """By `--models-from`."""


@dataclass(frozen=True)
class _Read:
    tree: Tree
    stamps: dict[Path, str]


class ForeignTrees:
    """Thread-safe."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._file = settings.data_dir / "model-folders.json"
        self._lock = threading.RLock()
        self._labels: dict[str, str] = {}
        """By path, also of folders that `--models-from` does not name now."""
        self._added: list[str] = []
        self._broken = ""
        self._load()
        self._places = self._placed()
        self._read: dict[Path, _Read] = {}
        self._trees: tuple[Tree, ...] = ()
        self.trees()

    @property
    def given(self) -> frozenset[str]:
        """Labels of the folders of `--models-from`, which cannot be removed."""
        return frozenset(each.label for each in self._places if each.given)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the file itself; what is wrong with a tree is said by the tree."""
        return (self._broken,) if self._broken else ()

    def is_stale(self) -> bool:
        """Whether anything of it has changed since `trees` was last called."""
        with self._lock:
            return any(changed(each.stamps) for each in self._read.values())

    def trees(self) -> tuple[Tree, ...]:
        """All of them, each read again only if what it was read from has changed. A folder that is our own,
        or belongs to an earlier tree, is left out of a tree, which says so."""
        with self._lock:
            stale = [each for each in self._places if self._is_stale(each)]
            for place in stale:
                self._read[place.path] = self._look(place)
            if stale or [each.root for each in self._trees] != [each.path for each in self._places]:
                self._read = {each.path: self._read[each.path] for each in self._places}
                self._trees = self._without_doubles(each.tree for each in self._read.values())
            return self._trees

    def folders(self, kind: Kind) -> tuple[ModelFolder, ...]:
        """Those of one kind, in the order of the trees."""
        return tuple(each for tree in self.trees() for each in tree.folders if each.kind == kind)

    def check(self, path: str | os.PathLike[str]) -> Tree:
        """What adding a folder would give. Raises `RequestError` if it would be refused."""
        with self._lock:
            return self._checked(path)

    def add(self, path: str | os.PathLike[str], label: str = "") -> Tree:
        """Read this folder from now on, under `label`, or one made of the program's name.

        Raises `RequestError` if it is refused, `NameTakenError` for a label that another has, `StorageError`
        if it cannot be remembered.
        """
        with self._lock:
            tree = self._checked(path, label)
            self._save(self._labels | {str(tree.root): tree.label}, [*self._added, str(tree.root)])
            self._places = self._placed()
            return next(each for each in self.trees() if each.root == tree.root)

    def remove(self, label: str) -> Path:
        """Read this folder no more; its files stay. Returns its path. Raises `NotFoundError` for an unknown
        label, `RequestError` if `--models-from` gives it, `StorageError` if it cannot be remembered."""
        with self._lock:
            tree = next((each for each in self.trees() if each.label == label), None)
            if tree is None:
                raise NotFoundError(f"There is no model folder named {quoted(label)}.")
            if label in self.given:
                raise RequestError(f"{label} is given by --models-from; start the studio without it.")
            self._refuse_broken()
            labels = {path: each for path, each in self._labels.items() if path != str(tree.root)}
            self._save(labels, [each for each in self._added if each != str(tree.root)])
            self._places = self._placed()
            self.trees()
            return tree.root

    # -- which folders ---------------------------------------------------------------------------------

    def _placed(self) -> list[_Place]:
        """Each folder with its label; a new label is kept."""
        given = list(dict.fromkeys(_absolute(each) for each in self._settings.models_from))
        added = [path for each in self._added if (path := Path(each)) not in given]
        fresh = [path for path in given if str(path) not in self._labels]
        for path in fresh:
            self._labels[str(path)] = default_label(read(path)[0].label, self._taken(path))
        if fresh and not self._broken:
            try:
                self._save(self._labels, self._added)
            except StorageError:
                log.warning("The labels of the model folders could not be kept", exc_info=True)
        return [_Place(path, self._labels[str(path)], path in given) for path in [*given, *added]]

    def _taken(self, path: Path) -> set[str]:
        """Labels that a folder cannot have: those of others, and names below our own folders, so that names
        of our own models stay apart from foreign ones."""
        names = {HUB, *(label for other, label in self._labels.items() if other != str(path))}
        for folder in (self._settings.checkpoints / "sdxl", self._settings.loras, self._settings.wildcards):
            try:
                names.update(os.listdir(folder))
            except OSError:
                continue
        return names

    def _checked(self, asked: str | os.PathLike[str], label: str = "") -> Tree:
        """As `add` would make it."""
        self._refuse_broken()
        text = os.fspath(asked).strip().strip("\"'")
        if not text or "\0" in text or not is_text(text) or not os.path.isabs(os.path.expanduser(text)):
            raise RequestError("Give the whole path of the folder, from the drive or / on.")
        path = _absolute(Path(text))
        real, name = Path(os.path.realpath(path)), quoted(path.name or str(path))
        is_yaml = path.suffix.casefold() in (".yaml", ".yml") and path.is_file()
        if not is_yaml:
            try:
                os.scandir(path).close()
            except NotADirectoryError:
                raise RequestError(f"{name} is not a folder; choose the folder that it lies in.") from None
            except OSError as error:
                raise RequestError(f"The folder {name} {why(error)}.") from None
        for own in map(_real, _own(self._settings)):
            if real.is_relative_to(own):
                raise RequestError(f"{name} lies in the studio's own folders, which are read already.")
        if _real(Path.home()).is_relative_to(real) or _real(self._settings.data_dir).is_relative_to(real):
            raise RequestError(f"{name} holds far more than models; choose a folder inside it.")
        for tree in self.trees():
            if real == _real(tree.root):
                raise RequestError(f"{name} is read already, as {tree.label}.")
            if real.is_relative_to(_real(tree.root)):
                raise RequestError(f"{name} lies in a folder that is read already, as {tree.label}.")
        if len(self._added) >= MOST:
            raise RequestError(f"{MOST} folders are added already; remove one of them first.")
        taken = self._taken(path)
        if label:
            _check_label(label, taken)
        else:
            label = self._labels.get(str(path), "")  # of a time when `--models-from` gave it
            if not label or default_label(label, taken) != label:
                label = default_label(read(path)[0].label, taken)
        return self._without_doubles([*self.trees(), read(path, label)[0]])[-1]

    # -- reading ---------------------------------------------------------------------------------------

    def _is_stale(self, place: _Place) -> bool:
        known = self._read.get(place.path)
        return known is None or known.tree.label != place.label or changed(known.stamps)

    def _look(self, place: _Place) -> _Read:
        """Read a tree. A folder on a drive that is away stays in it, so that what is known of its models
        stays until it can be looked at again."""
        tree, stamps = read(place.path, place.label)
        before = self._read[place.path].tree.folders if place.path in self._read else ()
        now = {(each.kind, each.path) for each in tree.folders}
        is_gone = not place.path.exists()
        away = [
            replace(each, origin=place.label)
            for each in before
            if (each.kind, each.path) not in now and (is_gone or _is_away(each.path))
        ]
        if away and len(away) == len(before):
            sentence = f"{place.path.name} is empty or not there; what was known of it is kept."
            program = self._read[place.path].tree.program
            tree = replace(tree, program=program, folders=tuple(away), problems=(sentence,))
        elif away:
            said = (f"{each.path.name} is not there now; what was known of it is kept." for each in away)
            tree = replace(tree, folders=(*tree.folders, *away), problems=(*tree.problems, *said))
        return _Read(tree, stamps)

    def _without_doubles(self, trees: Iterable[Tree]) -> tuple[Tree, ...]:
        own = [_real(each) for each in _own(self._settings)]
        labels: dict[tuple[Kind, Path], str] = {}
        found = []
        for tree in trees:
            kept, problems = [], list(tree.problems)
            for each in tree.folders:
                real = _real(each.path)
                ways = ((each.kind, path) for path in (real, *real.parents))
                other = next((labels[way] for way in ways if way in labels), "")
                is_own = any(real.is_relative_to(path) for path in own)
                if is_own or (each.only is None and any(path.is_relative_to(real) for path in own)):
                    problems.append(
                        f"{each.path.name} is the studio's own folder or holds it; it is left out."
                    )
                elif other:
                    problems.append(f"{each.path.name} ({each.kind}) is read already, as {other}.")
                else:
                    kept.append(each)
            whole = (each for each in kept if each.only is None and not each.skip)
            labels |= {(each.kind, _real(each.path)): tree.label for each in whole}
            found.append(replace(tree, folders=tuple(kept), problems=tuple(dict.fromkeys(problems))))
        return tuple(found)

    # -- the file --------------------------------------------------------------------------------------

    def _load(self) -> None:
        try:
            content = read_json(self._file)
            entries = content["folders"]
            folders = [(str(each["path"]), str(each["label"]), each["added"] is True) for each in entries]
            labels = {label.casefold() for _, label, _ in folders if _LABEL.fullmatch(label)}
            if len(labels) < len(folders) or not all(os.path.isabs(path) for path, _, _ in folders):
                raise ValueError("a label or path that cannot be one")
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError):
            self._broken = (
                f"{self._file.name} cannot be read; correct or delete it, and start the studio again."
            )
            log.warning("%s cannot be read", self._file, exc_info=True)
            return
        self._labels = {path: label for path, label, _ in folders}
        self._added = [path for path, _, added in folders if added]

    def _refuse_broken(self) -> None:
        if self._broken:
            raise RequestError(self._broken)

    def _save(self, labels: dict[str, str], added: list[str]) -> None:
        folders: list[dict[str, Any]] = [
            {"path": path, "label": label, "added": path in added} for path, label in labels.items()
        ]
        text = json.dumps({"folders": folders}, indent=2, ensure_ascii=False).encode()
        write_atomically(self._file, lambda file: file.write(text), self._file.parent / "tmp")
        self._labels, self._added = labels, added


def _check_label(label: str, taken: Collection[str]) -> None:
    """Raises `NameTakenError`."""
    free = default_label(label, taken)
    if not _LABEL.fullmatch(label):
        raise NameTakenError(
            f"{quoted(label)} cannot be the label of a folder, which has up to 60 letters, digits, points, "
            f"hyphens and underscores; {free} is possible.",
            free,
        )
    if label.casefold() in {each.casefold() for each in taken}:
        raise NameTakenError(f"The label {label} is taken; {free} is free.", free)


def _own(settings: Settings) -> tuple[Path, ...]:
    return (settings.checkpoints, settings.loras, settings.wildcards, settings.outputs, settings.inputs)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _is_away(path: Path) -> bool:
    """Whether a folder that is not there lies on a drive that is away: behind a link that leads nowhere, or
    in an empty folder, where a drive would be mounted. Otherwise it was removed."""
    for folder in (path, *path.parents):
        if os.path.islink(folder) and not folder.exists():
            return True
        if folder.is_dir():
            return folder != path and not _holds_anything(folder)
    return False


def _holds_anything(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entries)
    except OSError:
        return False
