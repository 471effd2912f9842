"""models.json and loras.json kept in step with the files, without losing a word that people wrote.

Both belong to the owner of the studio. Unknown keys and the order of entries stay; an entry whose file is
gone stays and is marked `"missing": true`; a file that is no JSON is reported and never written. Values that
are null stand for what the model file itself says. Writes go to a temporary file first.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .scan import stamp_of

Entry = dict[str, Any]
MISSING = "missing"


class _ChangedMeanwhile(ModelError):
    """The file is not what was read."""


class NoteFile:
    """One of the two files. Not safe for threads by itself; the registry's lock is around it."""

    def __init__(self, path: Path, fresh: Callable[[str | None], Entry]):
        """`fresh` makes the entry of a model that was not there before, given its file (below the folder)."""
        self.path = path
        self._fresh = fresh
        self._stamp = ""
        self._table: dict[str, Any] = {}
        self._entries: dict[str, Entry] = {}
        self._by_file: dict[str, str] = {}
        self._broken: str | None = None
        self.missing: tuple[str, ...] = ()
        """Names of the entries whose files are gone."""

    def read(self, problems: list[str]) -> None:
        """Read it where it changed; what is wrong with it goes into `problems`."""
        stamp = stamp_of(self.path)
        if stamp != self._stamp:
            self._stamp, self._broken = stamp, None
            try:
                self._take(_parse(self.path))
            except ModelError as error:
                self._broken = str(error)
        if self._broken:
            problems.append(self._broken)
        for name, entry in self._table.items():
            if not isinstance(entry, dict):
                problems.append(
                    f"{self.path.name}: the entry {name!r} must be a table in braces; it has no effect."
                )

    def _take(self, table: dict[str, Any]) -> None:
        """While the file is broken, the table from before it was stays."""
        self._table = table
        self._entries = {name: entry for name, entry in table.items() if isinstance(entry, dict)}
        self._by_file = {
            entry["file"]: key for key, entry in self._entries.items() if isinstance(entry.get("file"), str)
        }

    def of(self, name: str, file: str | None = None) -> Entry:
        """The entry of a model: by its name, else the one that names its file; {} where there is none."""
        return self._entries.get(self._key(name, file) or "", {})

    def _key(self, name: str, file: str | None) -> str | None:
        if name in self._entries:
            return name
        return None if file is None else self._by_file.get(file)

    def called(self, name: str, file: str | None) -> str | None:
        """The name that a model's entry has where that is another than its own: the owner's name for it."""
        key = self._key(name, file)
        return key if key != name else None

    def keep_in_step(
        self,
        present: Iterable[tuple[str, str | None]],
        renamed: Mapping[str, str],
        problems: list[str],
    ) -> None:
        """Add entries of new models (name, file), mark those of gone ones, let renamed ones keep theirs."""
        if self._broken or not self.path.parent.is_dir():
            return
        # One level down is all that is changed here.
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
        for key, entry in entries.items():
            if key in kept:
                entry.pop(MISSING, None)
            else:
                entry[MISSING] = True
        self.missing = tuple(key for key in entries if key not in kept)
        if table == self._table and list(table) == list(self._table) and self._stamp != "gone":
            return
        try:
            self._write(table)
        except _ChangedMeanwhile:
            pass  # the next look takes that in
        except ModelError as error:
            problems.append(str(error))

    def edit(self, name: str, file: str | None, changes: Mapping[str, Any]) -> None:
        """Set these keys of a model's entry. Raises `ModelError` where the file is broken or not writable."""
        problems: list[str] = []
        self.read(problems)
        if self._broken:
            raise ModelError(f"{self._broken} Repair it to save changes here.")
        table = copy.deepcopy(self._table)
        key = self._key(name, file)
        if key is None:
            if name in table:
                raise ModelError(
                    f"{self.path.name}: the entry {name!r} must be a table in braces; repair it."
                )
            key = name
            table[key] = self._fresh(file)
        table[key].update(changes)
        self._write(table)

    def _write(self, table: dict[str, Any]) -> None:
        path = self.path.resolve()
        text = json.dumps(table, ensure_ascii=False, indent=2) + "\n"
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            if stamp_of(self.path) != self._stamp:
                raise _ChangedMeanwhile(f"{path.name} was changed this moment by someone else; try again.")
            with temporary.open("xb") as file:
                # Half of a surrogate pair, which JSON can hold and UTF-8 cannot, stays an escape.
                file.write(text.encode("utf-8", "backslashreplace"))
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                shutil.copymode(path, temporary)
            os.replace(temporary, path)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise ModelError(
                f"{path.name} cannot be written ({reason}); check the permissions of its folder."
            ) from None
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        self._take(table)
        self._stamp = stamp_of(self.path)


def _parse(path: Path) -> dict[str, Any]:
    """The table in `path`, {} where there is none. Raises `ModelError` where it is broken."""
    name = path.name
    try:
        # Editors of Windows put a mark before the first character.
        text = path.read_text("utf-8-sig")
        table = json.loads(text) if text.strip() else {}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ModelError(f"{name} cannot be read ({(error.strerror or 'unknown reason').lower()}).") from None
    except UnicodeDecodeError:
        raise ModelError(f"{name} is not saved as UTF-8; it is left as it is.") from None
    except json.JSONDecodeError as error:
        raise ModelError(f"{name} is not valid JSON (line {error.lineno}); it is left as it is.") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{name} is not valid JSON; it is left as it is.") from None
    if not isinstance(table, dict):
        raise ModelError(f"{name} must hold a table in braces; it is left as it is.")
    return table
