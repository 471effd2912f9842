"""The styles of styles.csv and of the files beside it: listed, edited, and watched like the model folders.

Those of other programs' files, in CSV or JSON, are listed behind them, with the program's label before their
names; they are never changed. A changed one becomes a style of one's own.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError, NotFoundError, RequestError
from ..request import MAX_PROMPT
from ..storage.atomic import write_atomically
from ..storage.reading import read_regular, whole_text
from .catalog.lookup import quoted, unknown
from .foreign.candidates import bare_name
from .foreign.folders import ModelFolder
from .scan import is_text, stamp_of
from .style_csv import COMMENT, EMPTY, StyleFile
from .style_rows import JSON, StyleRows, read_rows

log = logging.getLogger(__name__)

LONGEST_NAME = 255
MOST_UNDONE = 5
"""Changes that can be undone while the studio runs."""
NO_STYLE = "None"
"""A row that A1111's first versions wrote; no divider."""
BACKUP = ".bak"
"""Ending of the previous version beside a file that was written; A1111 keeps one under that name as well."""


@dataclass(frozen=True)
class Style:
    """A named pair of texts. In both, `{prompt}` is the prompt's place; without it the text is appended."""

    name: str
    prompt: str
    negative_prompt: str
    group: str
    """The divider above it, a row without texts, as people write them to arrange a long list; else the name
    of its file, "" for the first one."""
    file: Path
    unusable: str | None = None
    origin: str = ""
    """Label of the other program's folder that it lies in; "" = our own."""


@dataclass(frozen=True)
class _Listed:
    styles: dict[str, Style]
    problems: tuple[str, ...]
    stamps: tuple[tuple[str, str], ...]


class StyleBook:
    """The styles of `path`, and of `styles_*.csv` beside it, as A1111 takes them with --styles-file.

    Of styles with the same name the last one holds, as there. Thread-safe.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.RLock()
        self._foreign: tuple[ModelFolder, ...] = ()
        self._listed = _Listed({}, (), ())
        self._catalogued = self._listed.stamps
        self._undo: dict[str, tuple[Path, str, bytes]] = {}
        """Id of a change -> the file, the digest of what was written, and what was there before."""
        self._changes = 0

    def use(self, foreign: tuple[ModelFolder, ...]) -> None:
        """List the styles of these other programs' files as well."""
        self._foreign = foreign

    def look(self) -> tuple[str, ...]:
        """Read what has changed, for the catalog. Returns a sentence for each file that cannot be used."""
        listed = self._look()
        self._catalogued = listed.stamps
        return listed.problems

    @property
    def stamps(self) -> tuple[tuple[str, str], ...]:
        """(path, stamp) of the files as they were read."""
        return self._listed.stamps

    @property
    def is_stale(self) -> bool:
        """Whether a file has changed since the catalog's last `look`."""
        return self._stamps_now() != self._catalogued

    def styles(self) -> tuple[Style, ...]:
        """All styles in the order of the files, including unusable ones."""
        return tuple(self._look().styles.values())

    def named(self, name: str) -> Style:
        """A style by name, also written with other capitals. Raises `NotFoundError` with similar names, or
        `ModelError` with the reason if it is unusable."""
        styles = self._look().styles
        found = styles.get(name) or _only(name, [each for each in styles.values() if not each.origin])
        found = found or _only(name, styles.values())
        if found is None:
            where = f"; there are none in {self.path.name}" if not styles else ""
            raise unknown(name, "style", styles.values(), where)
        if found.unusable:
            raise ModelError(found.unusable)
        return found

    # -- editing ---------------------------------------------------------------------------------------

    def save(self, name: object, prompt: object, negative: object, replacing: str | None = None) -> str:
        """Write a style, in place of the one named `replacing`, else as a new one at the end of `path`.

        Returns the id of the change for `undo`. Raises `RequestError` for a name or text that cannot be
        saved, `NotFoundError`, and `StorageError`.
        """
        called, text, other = _checked(name, prompt, negative)
        with self._lock:
            styles = self._look().styles
            if replacing is not None and replacing not in styles:
                raise _gone(replacing)
            if replacing is not None and (origin := styles[replacing].origin):
                called, replacing = called.removeprefix(f"{origin}/"), None
            if called in styles and called != replacing:
                raise RequestError(f"There is a style named {quoted(called)} already; choose another name.")
            path = styles[replacing].file if replacing is not None else self.path
            before = self._content(path)
            return self._write(path, before, _parsed(path, before).with_style(called, text, other, replacing))

    def delete(self, name: str) -> str:
        """Delete a style from its file. Returns the id of the change for `undo`. Raises `NotFoundError`,
        `StorageError`."""
        with self._lock:
            style = self._look().styles.get(name)
            if style is None:
                raise _gone(name)
            if style.origin:
                raise RequestError(
                    f"{quoted(name)} belongs to {style.origin}, whose files are never changed."
                )
            before = self._content(style.file)
            return self._write(style.file, before, _parsed(style.file, before).without(name))

    def add(self, styles: list[tuple[str, str, str]]) -> tuple[list[str], list[str], str | None]:
        """Append (name, prompt, negative prompt) at once. Returns the names that were added, those that are
        taken by another text, and the id of the change, None if nothing was added."""
        with self._lock:
            there = self._look().styles
            before = self._content(self.path)
            file = _parsed(self.path, before)
            added: list[str] = []
            taken: list[str] = []
            known = {each.name: (each.prompt, each.negative_prompt) for each in there.values()}
            for style in styles:
                name, prompt, negative = _checked(*style)
                if name in known:
                    taken += [name] if known[name] != (prompt, negative) else []
                    continue
                file = file.with_style(name, prompt, negative)
                known[name] = (prompt, negative)
                added.append(name)
            return added, taken, self._write(self.path, before, file) if added else None

    def undo(self, change: object) -> None:
        """Bring back what a file held before a change. Raises `RequestError` if it was changed since."""
        with self._lock:
            if change not in self._undo:
                raise RequestError("This change cannot be undone any more; the previous file is beside it.")
            path, written, before = self._undo.pop(str(change))
            now = self._content(path)
            if _digest(now) != written:
                raise RequestError(
                    f"{path.name} was changed since; the version from before is {path.name}{BACKUP}."
                )
            write_atomically(path.resolve(), lambda file: file.write(before), path.resolve().parent)
            self._look()

    # -- files -----------------------------------------------------------------------------------------

    def _files(self) -> list[Path]:
        start, ending = f"{self.path.stem}_", self.path.suffix.casefold()
        try:
            names = sorted(os.listdir(self.path.parent))
        except OSError:
            names = []
        beside = [each for each in names if each.startswith(start) and each.casefold().endswith(ending)]
        return [self.path, *(self.path.parent / each for each in beside if is_text(each))]

    def _stamps_now(self) -> tuple[tuple[str, str], ...]:
        paths = (*self._files(), *(each.path for each in self._foreign))
        return tuple((str(path), stamp_of(path)) for path in paths)

    def _look(self) -> _Listed:
        with self._lock:
            stamps = self._stamps_now()
            if stamps != self._listed.stamps:
                self._listed = self._read(stamps)
            return self._listed

    def _read(self, stamps: tuple[tuple[str, str], ...]) -> _Listed:
        styles: dict[str, Style] = {}
        problems: list[str] = []
        with_settings: Counter[str] = Counter()
        origins = {str(each.path): each.origin for each in self._foreign}
        for path in (Path(each) for each, _ in stamps):
            try:
                found = read_rows(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                problems.append(f"{path.name} cannot be read ({(error.strerror or str(error)).lower()}).")
                continue
            except ValueError as error:
                reason = str(error).removeprefix(f"{path.name} ")
                problems.append(f"The styles of {path.name} are left out: it {reason}.")
                continue
            self._add(found, path, origins.get(str(path), ""), styles, problems)
            if found.with_settings:
                with_settings[origins[str(path)]] += found.with_settings
        for origin, count in with_settings.items():
            problems.append(
                f"{count} styles of {origin} have settings beside their texts, which are not used."
            )
        return _Listed(styles, tuple(problems), stamps)

    def _add(
        self, found: StyleRows, path: Path, origin: str, styles: dict[str, Style], problems: list[str]
    ) -> None:
        is_json = path.suffix.casefold() == JSON
        of_file = not origin or (is_json and found.is_list)
        group = "" if path == self.path else path.stem if of_file else origin
        seen: set[str] = set()
        twice: list[str] = []
        for row in found.rows:
            if not is_json and not row.prompt.strip() and not row.negative_prompt.strip():
                if row.name != NO_STYLE:
                    group = row.name.strip("-=_*#~ ") or row.name
                continue
            if row.name in seen:
                twice.append(row.name)
            seen.add(row.name)
            name = f"{origin}/{row.name}" if origin else row.name
            reason = _reason(row.name, row.prompt, row.negative_prompt)
            if not row.prompt.strip() and not row.negative_prompt.strip():
                reason = f"The style {quoted(row.name)} has no texts; choose another."
            styles[name] = Style(name, row.prompt, row.negative_prompt, group, path, reason, origin)
        if found.others:
            problems.append(f"Entries of {path.name} that are no styles are left out ({found.others}).")
        if twice:
            problems.append(
                f"{path.name} has {quoted(twice[0])} twice{_more(twice)}; of equal names the last row holds."
            )

    def _content(self, path: Path) -> bytes:
        """The file's bytes, those of an empty one where there is none. Raises `ModelError`."""
        try:
            return read_regular(path)
        except FileNotFoundError:
            return EMPTY
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read: %s", path, error)
            raise ModelError(f"{path.name} cannot be read, so nothing was changed.") from None

    def _write(self, path: Path, before: bytes, file: StyleFile) -> str:
        content = file.encode()
        if StyleFile.parse(content).fields != file.fields:
            raise ModelError(
                f"A quotation mark of {path.name} is never closed and takes in the rows behind it; close it "
                "first. Nothing was changed."
            )
        target = path.resolve()  # a link stays one
        if target.exists():
            backup = target.with_name(target.name + BACKUP)
            write_atomically(backup, lambda out: out.write(before), target.parent)
        write_atomically(target, lambda out: out.write(content), target.parent)
        self._changes += 1
        change = str(self._changes)
        self._undo[change] = (path, _digest(content), before)
        for old in list(self._undo)[:-MOST_UNDONE]:
            del self._undo[old]
        self._look()
        return change


def _only(name: str, styles: Iterable[Style]) -> Style | None:
    """The only one that has this name in any case, without its label."""
    wanted = name.strip().casefold()
    same = [
        each
        for each in styles
        if wanted in (each.name.casefold(), bare_name(each.name, each.origin).casefold())
    ]
    return same[0] if len(same) == 1 else None


def _parsed(path: Path, content: bytes) -> StyleFile:
    try:
        return StyleFile.parse(content)
    except ValueError as error:
        raise ModelError(f"{path.name} {error}; nothing was changed.") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _gone(name: str) -> NotFoundError:
    return NotFoundError(f"The style {quoted(name)} is no longer there.")


def _more(names: list[str]) -> str:
    return f", and {len(names) - 1} other names" if len(names) > 1 else ""


def _reason(name: str, prompt: str, negative: str) -> str | None:
    """Why a style cannot be used, in one sentence."""
    longest = max(len(prompt), len(negative))
    if longest > MAX_PROMPT:
        return f"The style {quoted(name)} has {longest:,} of at most {MAX_PROMPT:,} characters; shorten it."
    if len(name) > LONGEST_NAME:
        return f"The style {quoted(name)} has a name of more than {LONGEST_NAME} characters; shorten it."
    if "\0" in name + prompt + negative:
        return f"The style {quoted(name)} contains a NUL character; remove it."
    return None


def _checked(name: object, prompt: object, negative: object) -> tuple[str, str, str]:
    """Raises `RequestError` for what no row can hold."""
    if not all(isinstance(each, str) for each in (name, prompt, negative)):
        raise RequestError("A style needs a name, a prompt and a negative prompt, each a text.")
    called, text, other = (whole_text(str(each)) for each in (name, prompt, negative))
    called = " ".join(called.split())
    if not called:
        raise RequestError("A style needs a name.")
    if called.startswith(COMMENT):
        raise RequestError(
            f"The name of a style cannot begin with {COMMENT}, which marks a comment in the file."
        )
    if not text.strip() and not other.strip():
        raise RequestError(f"The style {quoted(called)} has no text; write a prompt or a negative prompt.")
    reason = _reason(called, text, other)
    if reason:
        raise RequestError(reason)
    return called, text, other
