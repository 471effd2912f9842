"""The lists of words in `wildcards/`, from which prompts draw.

A text file is one list, with a value in each line, `#` for comments and `0.5::` before a value as its weight.
A YAML or JSON file is a tree whose leaves are lists, named by the way to them, with or without the file's own
name: `artists/dutch` or `people/artists/dutch`, as sd-dynamic-prompts names them. What lies outside the
folder is not read, links to it included.

Other programs' folders are read as well, with the program's label before their names. Without it a name means
one of them where no own list has it.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ..errors import ModelError
from ..storage.reading import read_regular
from . import wildcard_trees
from .catalog.lookup import unknown
from .dynamic_prompts.drawing import Value, Values, values_of
from .foreign.folders import ModelFolder
from .scan import is_text, stamp_of
from .wildcard_trees import MAX_VALUES

ENDINGS = (".txt", ".yaml", ".yml", ".json")
MAX_BYTES = 8 * 2**20
MAX_TREE_BYTES = 2 * 2**20
"""Largest text file, and YAML or JSON file, in bytes."""
MAX_FILES = 20_000
_WEIGHT = re.compile(r"(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*::")


@dataclass(frozen=True)
class Wildcard:
    """A list. `lines`: number of its values; `file`: its path below the folder, several for a name that
    several trees share are lists of their own."""

    name: str
    path: Path
    lines: int
    unusable: str | None
    file: str = ""
    origin: str = ""
    """Label of the other program's folder that it lies in; "" = our own."""


@dataclass(frozen=True)
class _Content:
    """A file as it was read. `lists`: by the way to them, "" for a text file's."""

    stamp: str
    lists: dict[str, Values]
    unusable: str | None = None
    problem: str = ""
    """A sentence about what of it is left out."""


class _File(NamedTuple):
    """`id`: its path below its folder, behind the folder's label."""

    id: str
    path: Path
    root: Path
    origin: str = ""


_List = tuple[_File, str]
"""A file, and the way to one of its lists."""
NONE = values_of(())


class WildcardFolder:
    """All lists of a folder, and of other programs' folders; a file is read again when its stamp has changed.
    Thread-safe."""

    def __init__(self, root: Path):
        self.root = root
        self._foreign: tuple[ModelFolder, ...] = ()
        self._lock = threading.Lock()
        self._contents: dict[Path, _Content] = {}
        self._folders: dict[Path, int] = {}
        """When each folder was changed, in nanoseconds, when its files were listed."""
        self._files: dict[str, _File] = {}
        self._left_out: list[str] = []
        """Ids of files beyond `MAX_FILES`."""

    def use(self, foreign: tuple[ModelFolder, ...]) -> None:
        """Read these other programs' folders as well."""
        with self._lock:
            if foreign != self._foreign:
                self._foreign, self._folders = foreign, {}

    def foreign_file(self, file: str) -> tuple[Path, str] | None:
        """Path and origin of another program's file, by its id; None for an own one, or an unknown one."""
        with self._lock:
            self._look()
            found = self._files.get(file)
        return (found.path, found.origin) if found and found.origin else None

    def lists(self) -> tuple[Wildcard, ...]:
        """All of them, sorted by name, those that cannot be used included."""
        with self._lock:
            return tuple(
                Wildcard(
                    name,
                    file.path,
                    len(self._content(file).lists.get(way, NONE).all),
                    unusable,
                    file.id,
                    file.origin,
                )
                for name, file, way, unusable in sorted(self._named(), key=lambda each: each[0])
            )

    def values(self, name: str) -> Values:
        """As `Lists.values`. Names are told apart by capitals only where both are there."""
        with self._lock:
            found = self._found(name)
            self._check_left_out(name, found)
        if not found:
            raise unknown(name, "wildcard", self.lists(), "; the lists are text files in wildcards/")
        with self._lock:
            contents = [(self._content(each), way) for each, way in found]
        for content, _ in contents:
            if content.unusable:
                raise ModelError(content.unusable)
        lists = [content.lists.get(way, NONE) for content, way in contents]
        return lists[0] if len(lists) == 1 else _joined(tuple(lists))

    def problems(self) -> tuple[str, ...]:
        """A sentence for each reason why something in the folder is left out."""
        with self._lock:
            self._look()
            trees = [file for file in self._files.values() if not _is_plain(file.id)]
            found = [problem for file in trees if (problem := self._content(file).problem)]
            return (self._too_many(), *found) if self._left_out else tuple(found)

    def _too_many(self) -> str:
        first, more = self._left_out[0], len(self._left_out) - 1
        files = f"{first} and {more:,} more are" if more else f"{first} is"
        return (
            f"{self.root.name}/ has more than {MAX_FILES:,} files, so {files} left out; remove some, or join "
            "lists in a YAML file."
        )

    def _check_left_out(self, name: str, found: list[_List]) -> None:
        """Raises `ModelError` if a file that is left out belongs to what the name stands for. Text files are
        found by their own names among any number of others."""
        if not self._left_out or (found and not is_pattern(name)):
            return
        matches = _matcher(name)
        if any(matches(file.rpartition(".")[0]) for file in self._left_out):
            raise ModelError(f"The wildcard {name} cannot be drawn from: {self._too_many()}")

    def digest(self, file: str) -> str | None:
        """That of a file's values now, by its path below the folder; None if it is not there any more."""
        with self._lock:
            self._look()
            found = self._files.get(file)
            lists = self._content(found).lists if found else {}
        return next((value.digest for values in lists.values() for value in values.all), None)

    def forget(self) -> None:
        """List the files again, after an edit that may have left the folder's time as it was."""
        with self._lock:
            self._folders = {}

    def _found(self, name: str) -> list[_List]:
        """The lists of this name, each once, in the order of their names."""
        text = _text_file(self.root, name)
        if text is not None:  # without listing the folder
            return [(_File(f"{name}.txt", text, self.root), "")]
        names: dict[str, dict[str, list[_List]]] = {"": {}}
        for each, file, way, _ in sorted(self._named(), key=lambda each: (each[0], each[1].id)):
            lists = names.setdefault(file.origin, {})
            lists.setdefault(each, []).append((file, way))
            if way:
                own = file.id.rpartition(".")[0]
                lists.setdefault(f"{own}/{way}", []).append((file, way))
        found = _matching(name, names.pop(""))
        if found or not names:
            return found
        whole = [each for lists in names.values() for each in _matching(name, lists)]
        if whole:
            return whole
        bare = [_matching(f"{origin}/{name}", lists) for origin, lists in names.items()]
        bare = [lists for lists in bare if lists]
        # The same name in several programs' folders is refused, where it does not stand for all that match.
        return [] if len(bare) > 1 and not is_pattern(name) else [each for lists in bare for each in lists]

    def _named(self) -> Iterator[tuple[str, _File, str, str | None]]:
        """Name, file, way inside the file, and why it cannot be used, of each list."""
        self._look()
        for file in self._files.values():
            own = file.id.rpartition(".")[0]
            if _is_plain(file.id):
                yield own, file, "", self._content(file).unusable
                continue
            content, folder = self._content(file), own.rpartition("/")[0]
            if content.unusable:
                yield own, file, "", content.unusable
            for way in content.lists:
                yield "/".join(filter(None, (folder, way))) if way else own, file, way, None

    def _look(self) -> None:
        """List the files, if any folder has changed."""
        if self._folders and all(_modified(each) == then for each, then in self._folders.items()):
            return
        self._folders = {}
        self._files, self._left_out = {}, []
        for root, origin in ((self.root, ""), *((each.path, each.origin) for each in self._foreign)):
            self._list(root, origin)
        paths = {each.path for each in self._files.values()}
        self._contents = {path: each for path, each in self._contents.items() if path in paths}

    def _list(self, root: Path, origin: str) -> None:
        """List the files of one folder."""
        self._folders[root] = _modified(root)
        for folder, folders, names in os.walk(root):
            here = Path(folder)
            self._folders[here] = _modified(here)
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            for name in sorted(names):
                path = here / name
                file = "/".join(filter(None, (origin, path.relative_to(root).as_posix())))
                if name.startswith(".") or not name.casefold().endswith(ENDINGS) or not is_text(file):
                    continue
                if len(self._files) == MAX_FILES:
                    self._left_out.append(file)
                elif file not in self._files and is_inside(path, root):
                    self._files[file] = _File(file, path, root, origin)

    def _content(self, file: _File) -> _Content:
        try:
            stamp = stamp_of(file.path)
        except OSError:
            stamp = ""
        known = self._contents.get(file.path)
        if known is None or known.stamp != stamp:
            known = self._contents[file.path] = _read(file, stamp)
        return known


def _matching(name: str, names: Mapping[str, list[_List]]) -> list[_List]:
    """The lists that a name or pattern stands for."""
    if name in names:
        return names[name]
    matches = _matcher(name)
    matching = [lists for each, lists in names.items() if matches(each)]
    return list(dict.fromkeys(one for lists in matching for one in lists))


@lru_cache(32)
def _joined(lists: tuple[Values, ...]) -> Values:
    return values_of([value for each in lists for value in each.all])


def is_pattern(name: str) -> bool:
    """Whether it stands for all lists that it matches."""
    return "*" in name or "?" in name


def _matcher(name: str) -> Callable[[str], bool]:
    """Whether a list has this name, in any case, or matches it."""
    if not is_pattern(name):
        return lambda each: each.casefold() == name.casefold()
    pattern = re.compile(fnmatch.translate(name.casefold().replace("[", "[[]")))
    return lambda each: pattern.match(each.casefold()) is not None


def _is_plain(file: str) -> bool:
    return file.casefold().endswith(".txt")


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path leads to somewhere below a folder, links followed."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


def _text_file(root: Path, name: str) -> Path | None:
    """The text file of this very name."""
    parts = name.split("/")
    if any(each.startswith(".") or not each for each in parts) or re.search(r"[*?\\:\0]", name):
        return None
    path = root.joinpath(*parts[:-1], f"{parts[-1]}.txt")
    try:
        return path if path.is_file() and is_inside(path, root) else None
    except (OSError, ValueError):
        return None


def _modified(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return -1


def _read(listed: _File, stamp: str) -> _Content:
    file, path, root, _ = listed
    is_tree = not _is_plain(file)
    limit = MAX_TREE_BYTES if is_tree else MAX_BYTES
    try:
        if not is_inside(path, root):
            raise OSError("a link that leads out of the folder")
        if path.stat().st_size > limit:
            return _Content(stamp, {}, f"{path.name} is larger than {limit // 2**20} MiB; split it.")
        data = read_regular(path, limit)
        text = data.decode("utf-8-sig")
    except (OSError, ValueError):
        return _Content(stamp, {}, f"{path.name} cannot be read as text; save it as UTF-8.")
    digest = hashlib.sha256(data).hexdigest()[:16]
    if not is_tree:
        lines = [(line.strip(), number) for number, line in enumerate(text.splitlines(), 1)]
        values = [
            _value(line, file, number, digest) for line, number in lines if line and not line.startswith("#")
        ]
        if len(values) > MAX_VALUES:
            return _Content(stamp, {}, f"{path.name} has more than {MAX_VALUES:,} values; split it.")
        return _Content(stamp, {"": values_of(values)})
    try:
        leaves, skipped = wildcard_trees.read(text, path.suffix.casefold() == ".json")
    except ValueError as error:
        return _Content(stamp, {}, f"{path.name} is not a readable tree of lists{error}; correct it.")
    lists = {
        way: values_of([_value(each, file, None, digest) for each in leaf]) for way, leaf in leaves.items()
    }
    return _Content(stamp, lists, problem=wildcard_trees.left_out(file, skipped))


def _value(text: str, file: str, line: int | None, digest: str) -> Value:
    weight = _WEIGHT.match(text)
    if weight:
        return Value(text[weight.end() :].strip(), float(weight[1]), file, line, digest)
    return Value(text, 1.0, file, line, digest)
