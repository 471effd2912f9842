"""Edits the files of `wildcards/`: nothing is replaced that was not seen, and what is replaced is kept.

A file's id is its path below the folder, "animals/birds.txt". Before a file is replaced or deleted, its
content is stored beside the studio's own files, and `restore` puts it back.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import NotFoundError, RequestError, StorageError
from ..storage.atomic import cannot_write, write_atomically
from ..storage.moving import move_to_free_name
from ..storage.reading import read_regular
from .catalog.lookup import quoted
from .wildcards import ENDINGS, WildcardFolder, is_inside

MAX_EDITED = 2**20
"""Largest file that can be edited, in bytes."""
MAX_KEPT = 200
"""Earlier versions that are kept, of all files together."""
LONGEST_ID = 200
_VERSION = re.compile(r"[0-9a-f]{32}")
_FORBIDDEN = re.compile(r'[\\:*?"<>|\x00-\x1f\x7f]')
CHANGED = "{} was changed meanwhile; open it again before you save it."
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WildcardFile:
    """A file as it is. `stamp`: by which `WildcardEditor` tells whether it has changed since."""

    file: str
    text: str
    stamp: str


class WildcardEditor:
    """The files of a folder. `kept`: where earlier versions are stored. Its methods raise `RequestError`
    (`NotFoundError` for an unknown file) and `StorageError`, and then have changed nothing."""

    def __init__(self, folder: WildcardFolder, kept: Path):
        self._folder, self._kept = folder, kept

    def read(self, file: object) -> WildcardFile:
        """A file's content, also of another program's."""
        foreign = self._folder.foreign_file(file) if isinstance(file, str) else None
        path, name = (foreign[0], str(file)) if foreign else self._existing(file)
        data = _data(path, name)
        try:
            return WildcardFile(name, data.decode("utf-8-sig"), _stamp(data))
        except ValueError:
            raise RequestError(f"{name} cannot be read as text; save it as UTF-8.") from None

    def create(self, file: object, text: object) -> WildcardFile:
        """A new file; `file` may lack its ending, which is then `.txt`."""
        path, name = self._path(file, is_new=True)
        self._write(path, name, text, replace=False)
        return self.read(name)

    def save(self, file: object, text: object, stamp: object) -> tuple[WildcardFile, str]:
        """Replace the content that the user saw. Returns the file, and the version for `restore`."""
        path, name = self._existing(file)
        version = self._keep(path, name, stamp)
        self._write(path, name, text, seen=stamp)
        return self.read(name), version

    def delete(self, file: object, stamp: object) -> str:
        """Remove a file that the user saw. Returns the version for `restore`."""
        path, name = self._existing(file)
        version = self._keep(path, name, stamp)
        try:
            path.unlink()
        except OSError as error:
            raise StorageError(cannot_write(path, error)) from error
        self._folder.forget()
        return version

    def rename(self, file: object, to: object) -> WildcardFile:
        """Give a file another name, which must be free."""
        path, _ = self._existing(file)
        target, name = self._path(to, is_new=True)
        if target.suffix.casefold() != path.suffix.casefold():
            raise RequestError(f"{quoted(name)} must end in {path.suffix}, as before.")
        try:
            move_to_free_name(path, target)
        except FileExistsError:
            raise RequestError(f"There is already a wildcard file {name}; choose another name.") from None
        except OSError as error:
            raise StorageError(cannot_write(target, error)) from error
        self._folder.forget()
        return self.read(name)

    def restore(self, version: object, stamp: object) -> WildcardFile:
        """Put an earlier version back. `stamp`: of the file as the edit left it, "" for a deleted one."""
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise NotFoundError("There is no such earlier version.")
        try:
            stored = json.loads(read_regular(self._kept / f"{version}.json").decode("utf-8"))
            name, text = stored["file"], stored["text"]
        except (OSError, ValueError, KeyError, TypeError):
            raise NotFoundError("This earlier version is no longer kept.") from None
        path, name = self._path(name, is_new=True)
        if stamp:
            self._keep(path, name, stamp)
            self._write(path, name, text, seen=stamp)
        else:
            self._write(path, name, text, replace=False)
        return self.read(name)

    def _path(self, file: object, is_new: bool = False) -> tuple[Path, str]:
        """The path for an id, and the id as it is written. Raises `RequestError` for what is none."""
        if not isinstance(file, str) or not file.strip() or len(file) > LONGEST_ID:
            raise RequestError(f"The name of a wildcard file has 1 to {LONGEST_ID} characters.")
        name = file.strip()
        if is_new and not name.casefold().endswith(ENDINGS):
            name += ".txt"
        parts = PurePosixPath(name).parts
        if (
            not name.casefold().endswith(ENDINGS)
            or any(not each.strip() or each.startswith(".") or each.endswith((" ", ".")) for each in parts)
            or _FORBIDDEN.search(name)
            or "__" in name
            or name.startswith("/")
        ):
            raise RequestError(
                f"{quoted(name)} cannot be the name of a wildcard file; use letters, digits, spaces, - and "
                "single _, and / for folders."
            )
        if foreign := self._folder.foreign_file("/".join(parts)):
            raise RequestError(
                f"{quoted(name)} belongs to {foreign[1]}, whose files are never changed; choose another name."
            )
        path = self._folder.root.joinpath(*parts)
        if not is_inside(path, self._folder.root):
            raise RequestError(f"{quoted(name)} leads out of the folder of wildcards; choose another name.")
        return path, "/".join(parts)

    def _existing(self, file: object) -> tuple[Path, str]:
        path, name = self._path(file)
        if not path.is_file():
            raise NotFoundError(f"There is no wildcard file {quoted(name)} any more.")
        return path, name

    def _write(self, path: Path, name: str, text: object, seen: object = None, replace: bool = True) -> None:
        if not isinstance(text, str):
            raise RequestError("The content of a wildcard file must be text.")
        try:
            data = text.replace("\r\n", "\n").encode("utf-8")
        except UnicodeEncodeError:
            raise RequestError(f"{name} contains an invalid character (half of a surrogate pair).") from None
        if len(data) > MAX_EDITED or b"\0" in data:
            raise RequestError(f"{name} must be text of at most {MAX_EDITED // 2**10:,} KiB; split it.")

        def check() -> None:
            if replace and _stamp(_data(path, name)) != seen:
                raise RequestError(CHANGED.format(name))

        if not replace and path.exists():
            raise RequestError(f"There is already a wildcard file {name}; choose another name.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(cannot_write(path, error)) from error
        write_atomically(
            path, lambda out: out.write(data), path.parent, before_replace=check, replace=replace
        )
        self._folder.forget()

    def _keep(self, path: Path, name: str, stamp: object) -> str:
        """Store the content of a file, if it is the one that was seen; returns the version's id."""
        data = _data(path, name)
        if _stamp(data) != stamp:
            raise RequestError(CHANGED.format(name))
        version = secrets.token_hex(16)
        record = {"file": name, "text": data.decode("utf-8-sig", "replace"), "time": time.time()}
        write_atomically(
            self._kept / f"{version}.json",
            lambda out: out.write(json.dumps(record).encode("utf-8")),
            self._kept,
        )
        versions = sorted(self._kept.glob("*.json"), key=lambda each: each.stat().st_mtime_ns)
        for old in versions[:-MAX_KEPT]:
            with suppress(OSError):
                old.unlink()
        return version


def _data(path: Path, name: str) -> bytes:
    try:
        return read_regular(path, MAX_EDITED)
    except ValueError:
        raise RequestError(
            f"{name} is larger than {MAX_EDITED // 2**10:,} KiB; edit it with another program."
        ) from None
    except OSError as error:
        log.warning("%s could not be read: %s", path, error)
        raise StorageError(f"{name} cannot be read; check the permissions of its folder.") from error


def _stamp(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
