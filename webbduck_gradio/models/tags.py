"""Lists of tags in `tags`, which the prompt completes: CSV files as a1111-sd-webui-tagcomplete has them.

A row is `tag,category,count,"alias,alias"`; what follows the tag may be missing. A first row that names its
columns (`name`, `category`, `post_count`, ...) sets their order, as in e621's own exports. In place of the
count there may be a note, as in lists of words for quality.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import heapq
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ..settings import Settings
from ..storage.reading import read_regular
from .scan import candidates

MAX_FILE = 32 * 2**20
"""Bytes; the largest lists that are passed around have 10 MiB."""
MOST_TAGS = 300_000
"""Tags that are completed, the most frequent ones."""
LEAST_TYPED = 2
"""Characters that are looked for at least."""
LONGEST = 100
"""Characters of a tag or an alias; longer ones are left out."""

CATEGORIES = ("general", "artist", "copyright", "character", "species", "meta", "lore", "invalid")
_DANBOORU = {0: "general", 1: "artist", 3: "copyright", 4: "character", 5: "meta"}
_E621 = {
    0: "general",
    1: "artist",
    3: "copyright",
    4: "character",
    5: "species",
    6: "invalid",
    7: "meta",
    8: "lore",
}
_COLUMNS = {
    "tag": 0,
    "name": 0,
    "category": 1,
    "type": 1,
    "count": 2,
    "post_count": 2,
    "postcount": 2,
    "alias": 3,
    "aliases": 3,
}
FIELD = "\x1f"
"""Between the words of a line of `TagList.text` and what is known of them."""


class Tag(NamedTuple):
    """`uses`: how many pictures have it, None where the list does not say; `note`: what it says instead."""

    name: str
    category: str
    uses: int | None
    note: str
    aliases: tuple[str, ...]


class Match(NamedTuple):
    """A tag that was found. `alias`: the alias that fits what was typed, "" where the name does."""

    name: str
    category: str
    uses: int | None
    note: str
    alias: str


@dataclass(frozen=True)
class TagFile:
    """A CSV file in `tags`. `count`: number of its tags, `left_out`: of its rows that are none."""

    name: str
    size_bytes: int
    count: int
    left_out: int
    unusable: str | None

    @property
    def summary(self) -> str:
        if self.unusable:
            return ""
        said = f"{self.count:,} {'tag' if self.count == 1 else 'tags'}"
        rows = "row was" if self.left_out == 1 else "rows were"
        return f"{said}; {self.left_out:,} other {rows} left out" if self.left_out else said


@dataclass(frozen=True)
class TagList:
    """All tags as one text, in which `find` searches; the page gets the same text and does the same.

    It begins with a line break, then has a line for each tag, the most frequent first: the tag and its
    aliases as they are typed (`typed_form`), with tabs between; then, after `FIELD` each, the number of its
    category, its uses or "", its note, and its name where that is not the first word with underscores.
    """

    text: str = "\n"
    count: int = 0
    known: int = 0
    """How many there are in the files, of which `count` are here."""

    @cached_property
    def version(self) -> str:
        return hashlib.blake2s(self.text.encode(), digest_size=8).hexdigest()

    @cached_property
    def compressed(self) -> bytes:
        """The text in UTF-8, by gzip."""
        return gzip.compress(self.text.encode(), 6, mtime=0)

    def find(self, typed: str, most: int, only_beginnings: bool = False) -> list[Match]:
        """The tags for what was typed: those that begin with it or have an alias that does, then those in
        which another word does; each most frequent first. `only_beginnings`: the first alone."""
        typed = typed_form(typed)
        if len(typed) < LEAST_TYPED:
            return []
        found: list[Match] = []
        last = 0
        for begin, line in heapq.merge(self._lines("\n" + typed), self._lines("\t" + typed)):
            if begin == last:
                continue
            last = begin
            found.append(_match(line, lambda word: word.startswith(typed)))
            if len(found) == most:
                break
        if only_beginnings:
            return found
        for _, line in self._lines(typed):
            if len(found) == most:
                break
            if f"\t{typed}" not in "\t" + line.partition(FIELD)[0]:
                found.append(_match(line, lambda word: _has_word(word, typed)))
        return found

    def _lines(self, sought: str) -> Iterator[tuple[int, str]]:
        """(where it begins, line) for each line in which `sought` occurs at the beginning of a word."""
        text, at = self.text, self.text.find(sought)
        while at >= 0:
            if sought[0] not in "\n\t" and is_in_word(text[at - 1]):
                at = text.find(sought, at + 1)
                continue
            begin = text.rindex("\n", 0, at + 1) + 1
            end = text.index("\n", begin)
            # Not in what is known of the tag.
            if at < text.index(FIELD, begin):
                yield begin, text[begin:end]
            at = text.find(sought, end)


def _has_word(text: str, typed: str) -> bool:
    at = text.find(typed, 1)
    while at > 0 and is_in_word(text[at - 1]):
        at = text.find(typed, at + 1)
    return at > 0


def _match(line: str, fits: Callable[[str], bool]) -> Match:
    words, category, uses, note, name = line.split(FIELD)
    key, *aliases = words.split("\t")
    alias = "" if fits(key) else next(filter(fits, aliases))
    name = name or key.replace(" ", "_")
    return Match(name, CATEGORIES[int(category)], int(uses) if uses else None, note, alias)


def is_in_word(character: str) -> bool:
    """Whether a word goes on after this character: letters and digits, and all beyond ASCII."""
    return character.isalnum() or ord(character) > 127


def typed_form(text: str) -> str:
    """A tag as it is searched for: small letters, one space between words, none before the first."""
    spaced = text.replace("_", " ").lower()
    words = " ".join(spaced.split())
    return words + " " if words and spaced[-1].isspace() else words


# -- files -------------------------------------------------------------------------------------------------


class TagLibrary:
    """The lists in `tags` as they are now; they are read again when one changed. Safe for threads."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._lock = threading.Lock()
        self._stamps: list[tuple[str, str]] = []
        self._files: tuple[TagFile, ...] = ()
        self._tags = TagList()

    def files(self) -> tuple[TagFile, ...]:
        """By name, including unusable ones."""
        return self._look()[0]

    def tags(self) -> TagList:
        """The tags of all files."""
        return self._look()[1]

    def _look(self) -> tuple[tuple[TagFile, ...], TagList]:
        with self._lock:
            found = candidates(self._settings.tags, folders=False, endings={".csv"})
            stamps = [(each.name, each.stamp) for each in found]
            if stamps != self._stamps:
                read = [read_file(each.name.removesuffix(".csv"), each.path) for each in found]
                self._files = tuple(file for file, _ in read)
                self._tags = merged(tags for _, tags in read)
                self._stamps = stamps
            return self._files, self._tags


def read_file(name: str, path: Path) -> tuple[TagFile, list[Tag]]:
    """What a file holds, or why it cannot be used."""

    def unusable(why: str) -> tuple[TagFile, list[Tag]]:
        return TagFile(name, 0, 0, 0, f"{path.name} {why}"), []

    try:
        data = read_regular(path, MAX_FILE)
    except OSError:
        return unusable("cannot be read; check its permissions.")
    except ValueError:
        return unusable(f"is larger than {MAX_FILE // 2**20} MiB; split it, or leave rare tags out.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return unusable("is not a text in UTF-8; save it as UTF-8.")
    tags, left_out = read_tags(text, is_e621="e621" in name.lower())
    if not tags:
        return unusable("holds no tags; its rows must be tag,category,count,aliases.")
    return TagFile(name, len(data), len(tags), left_out, None), tags


def read_tags(text: str, is_e621: bool = False) -> tuple[list[Tag], int]:
    """(the tags of a CSV text, number of rows that are none). `is_e621`: the categories are e621's; so they
    are where one of them is not danbooru's."""
    order = [0, 1, 2, 3]
    rows = []
    for number, row in enumerate(_rows(text)):
        if number == 0 and (named := _columns(row)):
            order = named
            continue
        rows.append([row[place].strip() if 0 <= place < len(row) else "" for place in order])
    by_number = _E621 if is_e621 or any(row[1] in ("6", "7", "8") for row in rows) else _DANBOORU
    tags = []
    for name, category, count, aliases in rows:
        kind = _category(category, by_number)
        if kind is None or not _is_word(name):
            continue
        uses = int(count) if count.isascii() and count.isdigit() and len(count) < 13 else None
        note = count if uses is None and _is_word(count) else ""
        others = (each.strip() for each in aliases.split(","))
        tags.append(Tag(name, kind, uses, note, tuple(each for each in others if _is_word(each))))
    return tags, len(rows) - len(tags)


def _rows(text: str) -> Iterator[list[str]]:
    """Each line by itself, so that a quotation mark that is never closed does not swallow the lines after."""
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            yield line.split(",") if '"' not in line else next(csv.reader((line,)))
        except csv.Error:
            yield []


def _columns(row: list[str]) -> list[int] | None:
    """The place of tag, category, count and aliases where a row names them, -1 for one that is missing."""
    named = [_COLUMNS.get(each.strip().lower(), -1) for each in row]
    if 0 not in named or len({each for each in named if each >= 0}) < 2:
        return None
    return [named.index(each) if each in named else -1 for each in range(4)]


def _category(text: str, by_number: dict[int, str]) -> str | None:
    """None for what is no category."""
    if text.lower() in CATEGORIES:
        return text.lower()
    if not text:
        return "general"
    number = text.removeprefix("-")
    if not (number.isascii() and number.isdigit() and len(number) < 4):
        return None
    return by_number.get(int(text), "general")


def _is_word(text: str) -> bool:
    return len(text) <= LONGEST and text.isprintable() and bool(text.strip(" _"))


def merged(lists: Iterable[Iterable[Tag]]) -> TagList:
    """All tags, each once: with the largest count, and the category and note beside it, and all aliases.

    Words with a note come first: somebody put them there on purpose, and they are few.
    """
    by_name: dict[str, Tag] = {}
    for tags in lists:
        for tag in tags:
            before = by_name.get(tag.name)
            if before is None:
                by_name[tag.name] = tag
                continue
            kept, other = (before, tag) if _weight(before) >= _weight(tag) else (tag, before)
            aliases = tuple(dict.fromkeys((*kept.aliases, *other.aliases)))
            by_name[tag.name] = kept._replace(aliases=aliases, note=kept.note or other.note)
    ordered = sorted(by_name.values(), key=lambda each: (not each.note, -_weight(each)))[:MOST_TAGS]
    return TagList("\n".join(["", *map(_line, ordered), ""]) or "\n", len(ordered), len(by_name))


def _weight(tag: Tag) -> int:
    return -1 if tag.uses is None else tag.uses


def _line(tag: Tag) -> str:
    key = typed_form(tag.name)
    words = dict.fromkeys((key, *map(typed_form, tag.aliases)))
    name = "" if key.replace(" ", "_") == tag.name else tag.name
    uses = "" if tag.uses is None else str(tag.uses)
    return FIELD.join(["\t".join(words), str(CATEGORIES.index(tag.category)), uses, tag.note, name])
