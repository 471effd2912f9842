"""models.json and loras.json, synchronised with the model files; the user's edits are never lost.

Unknown keys and the order of entries are kept; an entry whose file is gone is kept and marked `"missing":
true`; a file that is invalid or empty is reported and never overwritten. null means the model file's own
value.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import ModelError, RequestError, StorageError
from ...storage.atomic import write_atomically
from ...storage.reading import MAX_TEXT, read_regular
from ..scan import stamp_of

Entry = dict[str, Any]
MISSING = "missing"


MAX_DEPTH = 64
"""Maximum nesting depth; deeper files could not be written back."""


class _ChangedMeanwhileError(ModelError):
    """The file has changed since it was read."""


class EditConflictError(RequestError):
    """The value of `key` is no longer what the user saw when changing it."""

    def __init__(self, text: str, key: str):
        super().__init__(text)
        self.key = key


class ModelConfigFile:
    """One of the two files. Not thread-safe; callers hold the registry's lock."""

    def __init__(self, path: Path, fresh: Callable[[str | None], Entry]):
        """`fresh` creates the entry of a new model, given its path relative to the model folder."""
        self.path = path
        self._fresh = fresh
        self._stamp = ""
        self._table: dict[str, Any] = {}
        self._entries: dict[str, Entry] = {}
        self._by_file: dict[str, str] = {}
        self._broken: str | None = None
        self.missing: tuple[str, ...] = ()
        """Names of entries whose files are gone."""

    def read(self, problems: list[str]) -> None:
        """Reload the file if it has changed; appends errors to `problems`."""
        stamp = stamp_of(self.path)
        if stamp != self._stamp:
            self._stamp, self._broken = stamp, None
            try:
                self._set_table(_parse(self.path))
            except ModelError as error:
                self._broken = str(error)
            except OSError as error:
                # Temporary: it may become readable without a change, so the next scan tries again.
                self._stamp = ""
                reason = (error.strerror or type(error).__name__).lower()
                self._broken = (
                    f"{self.path.name} cannot be read ({reason}); its previous content still applies."
                )
        if self._broken:
            problems.append(self._broken)
        for name, entry in self._table.items():
            if not isinstance(entry, dict):
                problems.append(
                    f"{self.path.name}: the entry {name!r} must be a JSON object; it has no effect."
                )

    def _set_table(self, table: dict[str, Any]) -> None:
        """Use this content, which stays in effect while the file is broken."""
        self._table = table
        self._entries = {name: entry for name, entry in table.items() if isinstance(entry, dict)}
        self._by_file = {
            entry["file"]: key for key, entry in self._entries.items() if isinstance(entry.get("file"), str)
        }

    def of(self, name: str, file: str | None = None) -> Entry:
        """The entry of a model, by name or by its `file`; {} if there is none."""
        return self._entries.get(self._key(name, file) or "", {})

    def _key(self, name: str, file: str | None) -> str | None:
        if name in self._entries:
            return name
        return None if file is None else self._by_file.get(file)

    def called(self, name: str, file: str | None) -> str | None:
        """The key of a model's entry if it differs from the model's name: the user's name for it."""
        key = self._key(name, file)
        return key if key != name else None

    def sync(
        self,
        present: Iterable[tuple[str, str | None]],
        renamed: Mapping[str, str],
        problems: list[str],
        all_seen: bool = True,
        elsewhere: Collection[str] = (),
    ) -> None:
        """Add entries for new models (name, file), mark missing ones, and rename those of renamed models.

        `elsewhere`: models that are not in the studio's own folders; they have an entry only where the user
        noted something. `all_seen` False: some folder could not be read, so nothing is marked as missing.
        """
        if self._broken or not self.path.parent.is_dir():
            return
        # Only the first level below is modified here, so shallow copies suffice.
        table = {
            renamed.get(name, name): dict(entry) if isinstance(entry, dict) else entry
            for name, entry in self._table.items()
        }
        entries = {name: entry for name, entry in table.items() if isinstance(entry, dict)}
        by_file = {entry["file"]: key for key, entry in entries.items() if isinstance(entry.get("file"), str)}
        kept = set()
        for name, file in present:
            key = name if name in table else by_file.get(file) if file is not None else None
            if key is None:
                table[name] = self._fresh(file)
                key = name
            elif name in renamed.values() and file is not None and "file" in entries.get(key, {}):
                entries[key]["file"] = file
            kept.add(key)
        for name in elsewhere:
            if name in renamed.values() and name in entries:
                entries[name].pop("file", None)
        for key, entry in entries.items():
            if key in kept or key in elsewhere:
                entry.pop(MISSING, None)
            elif all_seen:
                entry[MISSING] = True
        self.missing = tuple(key for key, entry in entries.items() if entry.get(MISSING) is True)
        if table == self._table and list(table) == list(self._table) and self._stamp != "gone":
            return
        try:
            self._write(table)
        except _ChangedMeanwhileError:
            pass  # the next scan will reload it
        except ModelError as error:
            problems.append(str(error))

    def edit(
        self,
        name: str,
        file: str | None,
        changes: Mapping[str, Any],
        seen: Mapping[str, Any] | None = None,
    ) -> None:
        """Set these keys of a model's entry. `seen`: the values that the user saw, if known.

        Raises `EditConflictError`, and `ModelError` if the file is broken or not writable.
        """
        self.current()
        entry = dict(self.of(name, file))
        for key in changes:
            if seen is not None and key in seen and entry.get(key) != seen[key]:
                raise EditConflictError(changed_meanwhile(key, name, entry.get(key)), key)
        table = dict(self._table)
        place = self._key(name, file)
        if place is None:
            if name in table:
                raise ModelError(f"{self.path.name}: the entry {name!r} must be a JSON object; repair it.")
            place, entry = name, self._fresh(file)
        table[place] = {**entry, **changes}
        self._write(table)

    def current(self) -> None:
        """Reload the file. Raises `ModelError` if it is broken, since nothing can be saved then."""
        self.read([])
        if self._broken:
            raise ModelError(f"{self._broken} Repair it to save changes here.")

    def _write(self, table: dict[str, Any]) -> None:
        path = self.path.resolve()
        if not path.parent.is_dir():
            # Perhaps an unmounted drive: a new folder at the mount point would hide its content.
            raise ModelError(f"{path.name} cannot be written: its folder is not there now; try again later.")
        text = json.dumps(table, ensure_ascii=False, indent=2) + "\n"

        def write(file: BinaryIO) -> None:
            # Lone surrogates, valid in JSON but not in UTF-8, stay escaped.
            file.write(text.encode("utf-8", "backslashreplace"))
            if path.exists():
                shutil.copymode(path, file.name)

        def check_unchanged() -> None:
            if stamp_of(self.path) != self._stamp:
                raise _ChangedMeanwhileError(
                    f"{path.name} was changed this moment by someone else; try again."
                )

        try:
            write_atomically(
                path,
                write,
                path.parent,
                prefix=f".{path.name}.",
                before_replace=check_unchanged,
                replace=self._stamp != "gone",
            )
        except StorageError as error:
            if isinstance(error.__cause__, FileExistsError):
                check_unchanged()
            raise ModelError(str(error)) from error
        self._set_table(table)
        self._stamp = stamp_of(self.path)


def changed_meanwhile(key: str, name: str, value: Any) -> str:
    """The message for an edit conflict."""
    now = "empty now" if value in (None, "", []) else f"now {json.dumps(value, ensure_ascii=False)[:120]}"
    return (
        f"The {key} of {name} was changed meanwhile and is {now}; nothing was saved. "
        "Save again to put yours in its place."
    )


def _parse(path: Path) -> dict[str, Any]:
    """The object in `path`, {} if there is no file. Raises `ModelError` if it is invalid, `OSError` if it
    cannot be read now."""
    name = path.name
    try:
        # Windows editors may write a byte order mark.
        text = read_regular(path).decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise ModelError(f"{name} is not saved as UTF-8; it is left as it is.") from None
    except ValueError:
        raise ModelError(f"{name} is larger than {MAX_TEXT // 2**20} MB; it is left as it is.") from None
    if not text.strip():
        # Many editors truncate a file before writing it.
        raise ModelError(f"{name} is empty; it is left as it is. Remove it to have it created again.")
    try:
        table = json.loads(text, object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        raise ModelError(f"{name} is not valid JSON (line {error.lineno}); it is left as it is.") from None
    except _DuplicateKeyError as error:
        raise ModelError(f"{name} has {error} twice; it is left as it is.") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{name} is not valid JSON; it is left as it is.") from None
    if not isinstance(table, dict):
        raise ModelError(f"{name} must contain a JSON object; it is left as it is.")
    if _is_deep(table):
        raise ModelError(f"{name} is nested too deeply; it is left as it is.")
    return table


class _DuplicateKeyError(Exception):
    """An object has a key twice; only one of the values could be kept."""


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _DuplicateKeyError(repr(name)[:80])
            seen.add(name)
    return table


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for some in inner for each in some if isinstance(each, dict | list)]
        if not level:
            return False
    return True
