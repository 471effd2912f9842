"""Reads one program's folder: what lies there, what its settings say, and what of it cannot be read.

Every look is remembered with the stamp of what was found, so that a tree is read again only when one of these
has changed. Nothing raises: what cannot be read becomes a sentence.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...storage.reading import parse_json, read_regular
from ..scan import is_text, stamp_of, why
from .bounded_yaml import read_yaml
from .folders import Kind, ModelFolder, Tree

MAX_SETTINGS = 2**20
"""Largest settings file that is read, in bytes."""
MAX_NAMES = 10_000
"""Names of one folder that are looked at."""
MAX_FOLDERS = 500
MAX_STYLES = 1_000
"""Files of styles in JSON."""
MAX_PROBLEMS = 50
WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class Reading:
    """One look at a program's folder."""

    def __init__(self, root: Path):
        self.root = root
        self.label = ""
        self.stamps: dict[Path, str] = {}
        """Stamp of each path that was looked at."""
        self._listed: dict[Path, list[str]] = {}
        self._folders: list[ModelFolder] = []
        self._whole: set[tuple[Kind, Path]] = set()
        """Folders of which everything is listed, links followed."""
        self._problems: dict[str, None] = {}
        self._more = 0
        """Number of problems beyond those that are kept."""

    def tree(self, program: str) -> Tree:
        """What was found. A folder inside another one of the same kind is left out, since it is listed
        with that one."""

        def is_inside(each: ModelFolder) -> bool:
            return any((each.kind, parent) in self._whole for parent in _real(each.path).parents)

        folders = tuple(replace(each, origin=self.label) for each in self._folders if not is_inside(each))
        more = (f"{self._more} more such things are not listed.",) if self._more else ()
        return Tree(self.root, program, self.label, folders, (*self._problems, *more))

    @property
    def found(self) -> bool:
        """Whether anything is listed."""
        return bool(self._folders)

    def problem(self, sentence: str) -> None:
        shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in sentence)
        if len(self._problems) < MAX_PROBLEMS:
            self._problems[shown] = None
        elif shown not in self._problems:
            self._more += 1

    # -- looking ---------------------------------------------------------------------------------------

    def is_folder(self, path: Path) -> bool:
        return _mode(path, self.stamps, stat.S_ISDIR)

    def is_file(self, path: Path) -> bool:
        return _mode(path, self.stamps, stat.S_ISREG)

    def note(self, path: Path) -> None:
        """Remember a file that others read for this tree."""
        self.stamps[path] = stamp_of(path)

    def names(self, folder: Path) -> list[str]:
        """Names in a folder, sorted; none, and a problem, where it cannot be listed."""
        if folder in self._listed:
            return self._listed[folder]
        self.stamps[folder] = stamp_of(folder)
        names: list[str] = []
        try:
            names = sorted(filter(is_text, os.listdir(folder)))[:MAX_NAMES]
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(folder):
                self.problem(f"{self.shown(folder)} leads to something that is not there.")
        except OSError as error:
            self.problem(f"{self.shown(folder)} {why(error)}.")
        self._listed[folder] = names
        return names

    def below(self, folder: Path, way: str) -> Path | None:
        """The path below a folder, by a way with `/`. Other capitals count where these are not there."""
        for part in way.split("/"):
            path = folder / part
            if not os.path.lexists(path):
                self.stamps[path] = "gone"
                alike = [each for each in self.names(folder) if each.casefold() == part.casefold()]
                if not alike:
                    return None
                path = folder / alike[0]
            folder = path
        return folder

    def has(self, *ways: str) -> bool:
        """Whether all of these are below the root."""
        return all(self.below(self.root, way) is not None for way in ways)

    # -- settings --------------------------------------------------------------------------------------

    def text(self, path: Path) -> str | None:
        """A settings file's text; None, with a problem, if it is there and cannot be read."""
        self.stamps[path] = stamp_of(path)
        try:
            return read_regular(path, MAX_SETTINGS).decode("utf-8-sig")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.problem(f"{self.shown(path)} {why(error)}.")
        except UnicodeDecodeError:
            self.problem(f"{self.shown(path)} is not UTF-8; its folders are not read.")
        except ValueError:
            self.problem(
                f"{self.shown(path)} is larger than {MAX_SETTINGS // 2**20} MiB; its folders are not read."
            )
        return None

    def json(self, path: Path) -> dict[str, Any]:
        """A settings file in JSON; {} if it cannot be read or is no JSON object."""
        return self._object(path, parse_json, "valid JSON")

    def yaml(self, path: Path) -> dict[str, Any]:
        """A settings file in YAML, as `read_yaml` gives it."""
        return self._object(path, read_yaml, "readable YAML")

    def _object(self, path: Path, parse: Any, what: str) -> dict[str, Any]:
        text = self.text(path)
        if text is None:
            return {}
        try:
            found = parse(text)
        except ValueError:
            self.problem(f"{self.shown(path)} is not {what}; its folders are not read.")
            return {}
        return found if isinstance(found, dict) else {}

    def configured(self, text: Any, base: Path, source: Path, expand: bool = True) -> Path | None:
        """A path as the settings file `source` writes it, relative to `base`; None, with a problem, if it
        cannot be one here. `expand`: whether ~ and variables of the environment stand for what they mean."""
        if not isinstance(text, str) or not text.strip():
            return None
        text = text.strip()
        shown = f"{text[:200]}, named in {self.shown(source)},"
        if os.name != "nt" and WINDOWS_PATH.match(text):
            self.problem(f"{shown} is not on this computer.")
            return None
        path = os.path.expandvars(os.path.expanduser(text)) if expand else text
        if "\0" in path or not is_text(path):
            self.problem(f"{shown} is not a path that can be read.")
            return None
        if os.name != "nt" and not os.path.lexists(base / path):
            path = path.replace("\\", "/")
        return Path(os.path.normpath(base / path))

    def is_there(self, folder: Path, source: Path) -> bool:
        """Whether a folder that the settings file `source` names is there; if not, this is a problem."""
        if self.is_folder(folder):
            return True
        self.problem(f"{self.shown(folder)}, named in {self.shown(source)}, is not there.")
        return False

    # -- model folders ---------------------------------------------------------------------------------

    def add(self, kind: Kind, path: Path, source: Path | None = None, **details: Any) -> bool:
        """List a folder, or a file of styles. Where it is not there, this is a problem if the settings
        file `source` names it. Returns whether it is listed."""
        there = self.is_file(path) if kind == "styles" else self.is_folder(path)
        if not there:
            said = f", named in {self.shown(source)}," if source else ""
            if os.path.islink(path):
                self.problem(f"{self.shown(path)}{said} leads to something that is not there.")
            elif source:
                self.problem(f"{self.shown(path)}{said} is not there.")
            return False
        if kind != "styles":
            try:
                os.scandir(path).close()
            except OSError as error:  # listed all the same: what was known of it stays until it can be read
                self.problem(f"{self.shown(path)} {why(error)}.")
        if not is_text(str(path)) or len(self._folders) >= MAX_FOLDERS + MAX_STYLES * (kind == "styles"):
            self.problem(f"{self.shown(path)} is left out.")
            return False
        folder = ModelFolder(kind, path, "", **details)
        real = kind, _real(path)
        if folder.only is not None or real not in self._whole:
            self._folders.append(folder)
        if folder.only is None and not folder.skip:
            self._whole.add(real)
        return True

    def add_styles(self, folder: Path, deep: bool = False) -> None:
        """List the JSON files of styles in a folder; `deep`: and in those below it."""
        waiting, count = [folder], 0
        seen = set()
        while waiting:
            folder = waiting.pop(0)
            if (real := _real(folder)) in seen:
                continue
            seen.add(real)
            for name in self.names(folder):
                path = folder / name
                if name.casefold().endswith(".json"):
                    count += 1
                    if count <= MAX_STYLES:
                        self.add("styles", path)
                elif deep and len(waiting) + len(seen) < MAX_FOLDERS and self.is_folder(path):
                    waiting.append(path)
        if count > MAX_STYLES:
            self.problem(f"{count - MAX_STYLES} files of styles are left out, since there are {count:,}.")

    def add_below(self, folder: Path, ways: Iterable[tuple[str, Kind]]) -> None:
        """List those of these that are there, by their ways below a folder."""
        for way, kind in ways:
            path = self.below(folder, way)
            if path is not None:
                self.add(kind, path)

    def shown(self, path: Path) -> str:
        """A path in a sentence: below the root, or else whole."""
        try:
            shown = path.relative_to(self.root).as_posix()
        except ValueError:
            shown = str(path)
        return self.root.name or str(self.root) if shown == "." else shown


def changed(stamps: dict[Path, str]) -> bool:
    """Whether anything that was looked at is different now."""
    return any(
        (stamp_of(path) if not then.startswith("mode ") else _mode_stamp(path)) != then
        for path, then in stamps.items()
    )


def _mode(path: Path, stamps: dict[Path, str], is_kind: Any) -> bool:
    stamps.setdefault(path, _mode_stamp(path))
    try:
        return bool(is_kind(os.stat(path).st_mode))
    except (OSError, ValueError):
        return False


def _mode_stamp(path: Path) -> str:
    """Stamp that stays the same when only a folder's or file's content changes."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return "mode gone"
    return f"mode {status.st_mode:o}:{status.st_dev}:{status.st_ino}"


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
