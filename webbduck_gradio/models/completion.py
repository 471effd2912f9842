"""What the word before the caret in a prompt can be completed to.

The page does the same without asking, in ui/shared/completion_rules.js; tests/rules/completion.json holds
both to the same cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypedDict

from .foreign.candidates import bare_name
from .tags import LEAST_TYPED, Match, TagList, is_in_word, typed_form

Kind = Literal["lora", "embedding", "wildcard", "style", "tag"]

MOST = 30
"""Most options of one kind."""
MOST_WORDS = 5
"""Most words of a tag as part of a sentence."""

_LORA = re.compile(r"<(?:lora|lyco)\s*:\s*([^<>:]*)\Z", re.IGNORECASE)
_IN_ANGLES = re.compile(r"<[a-z][^<>]*\Z", re.IGNORECASE)
_EMBEDDING = re.compile(r"(?<![\w\\])embedding:([^\s,()\[\]{}<>|:]*)\Z", re.IGNORECASE)
_IN_WEIGHT = re.compile(r"[^:\s]\s*:\s*[-+]?[\d.]*\Z")
_WORD = re.compile(r"[^\s:]+")
_NO_WILDCARD = re.compile(r"[\n,|{}<>()]")
_FOLLOWED = re.compile(r"[ \t]*[,)\]}|:>]")


class CompletionOption(TypedDict):
    """`insert`: the text in place of what was typed; "" for a style, which belongs into `styles`."""

    kind: Kind
    label: str
    insert: str
    detail: str
    count: int | None
    """How many pictures have a tag, where its list tells it."""
    alias_of: str | None
    """The tag that `label` is an alias of."""


Completion = TypedDict("Completion", {"from": int, "to": int, "options": list[CompletionOption]})
"""`from`, `to`: the part of the text that an option replaces, in characters."""


class Word(NamedTuple):
    """A name that can be completed. `also`: other words by which it is found; `origin`: label of the folder
    that it lies in, with which its name begins."""

    name: str
    detail: str = ""
    also: str = ""
    weight: float = 1.0
    origin: str = ""

    @property
    def bare_name(self) -> str:
        """The name without the origin."""
        return bare_name(self.name, self.origin)


@dataclass(frozen=True)
class Words:
    """All that can be completed, each kind in the order in which it is listed."""

    loras: Sequence[Word] = ()
    embeddings: Sequence[Word] = ()
    wildcards: Sequence[Word] = ()
    styles: Sequence[Word] = ()
    tags: TagList = field(default_factory=TagList)


def complete(text: str, position: int, words: Words) -> Completion:
    """The options for the caret at `position`; none where nothing is to be completed."""
    before, after = text[:position], text[position:]
    none: Completion = {"from": position, "to": position, "options": []}
    if found := _LORA.search(before):
        closed = re.match(r"[^<>\n]*>", after)
        to = position + (closed.end() if closed else 0)
        return {"from": found.start(), "to": to, "options": _loras(words.loras, found[1])}
    if _IN_ANGLES.search(before):
        return none
    wildcard = wildcard_start(before)
    if wildcard is not None:
        to = position + (2 if after.startswith("__") else 0)
        options = [
            _option("wildcard", each, f"__{each.name}__")
            for each in named(words.wildcards, before[wildcard + 2 :], True)
        ]
        return {"from": wildcard, "to": to, "options": options}
    if found := _EMBEDDING.search(before):
        end = _end(before[: found.start()], after)
        options = [
            _option("embedding", each, f"embedding:{escaped(each.name)}{end}")
            for each in named(words.embeddings, found[1], False)
        ]
        return {"from": found.start(), "to": position, "options": options}
    if after and is_in_word(after[0]):
        return none
    for start, is_last in word_starts(before):
        end = _end(before[:start], after)
        if options := _by_word(words, unescaped(before[start:]), end, is_last):
            return {"from": start, "to": position, "options": options}
    return none


def wildcard_start(before: str) -> int | None:
    """Where the wildcard begins whose name is being typed, or None."""
    start = None
    at = before.find("__")
    while at >= 0:
        name = None if start is None else before[start + 2 : at]
        closes = name is not None and bool(name.strip()) and not _NO_WILDCARD.search(name)
        start = None if closes else at
        at = before.find("__", at + 2)
    return None if start is None or _NO_WILDCARD.search(before[start + 2 :]) else start


def word_starts(before: str) -> Iterator[tuple[int, bool]]:
    """Where the words begin that end at the caret, the longest first, and whether it is the last word: "a
    long ha" can be meant to begin a tag as a whole, or "long ha", or "ha"."""
    first = _segment_start(before)
    segment = before[first:]
    if _IN_WEIGHT.search(segment):
        return
    places = [found.start() for found in _WORD.finditer(segment)]
    # A tag can begin with a colon.
    lead = len(segment) - len(segment.lstrip())
    if segment[lead:].startswith(":"):
        places.insert(0, lead)
    places = places[-MOST_WORDS:]
    for place in places:
        if len(segment[place:].strip()) >= LEAST_TYPED:
            yield first + place, place == places[-1]


def _segment_start(before: str) -> int:
    """After the last sign that ends a word; brackets that are escaped do not."""
    for at in range(len(before) - 1, -1, -1):
        if before[at] in ",\n|{}>$" or (before[at] in "()[]" and not _is_escaped(before, at)):
            return at + 1
    return 0


def _is_escaped(text: str, at: int) -> bool:
    slashes = len(text[:at]) - len(text[:at].rstrip("\\"))
    return slashes % 2 == 1


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def escaped(name: str) -> str:
    r"""A name as it is written into a prompt, where brackets are weights: `miku \(vocaloid\)`."""
    return re.sub(r"[\\()\[\]]", r"\\\g<0>", name)


def as_words(tag: str) -> str:
    """A tag with spaces, unless it is a face, as ^_^ and o_o, that is: no two letters or digits follow one
    another."""
    return tag.replace("_", " ") if re.search(r"[^\W_]{2}", tag) else tag


def _end(before: str, after: str) -> str:
    """What is put behind a word: a comma, unless it is in a bracket or one of these signs follows."""
    depth = 0
    for at, character in enumerate(before):
        if character in "([{" and not _is_escaped(before, at):
            depth += 1
        elif character in ")]}" and not _is_escaped(before, at):
            depth = max(0, depth - 1)
    if depth or _FOLLOWED.match(after):
        return ""
    return "," if after[:1].isspace() else ", "


def _by_word(words: Words, typed: str, end: str, is_last: bool) -> list[CompletionOption]:
    """`is_last`: also words of names that begin so, not the names alone."""
    options = [
        _option("embedding", each, escaped(each.name) + end)
        for each in named(words.embeddings, typed, False, not is_last)
    ]
    options += [_option("style", each, "") for each in named(words.styles, typed, False, not is_last)]
    return options + [_tag(each, end) for each in words.tags.find(typed, MOST, not is_last)]


def _option(kind: Kind, word: Word, insert: str) -> CompletionOption:
    return CompletionOption(
        kind=kind, label=word.name, insert=insert, detail=word.detail, count=None, alias_of=None
    )


def _tag(found: Match, end: str) -> CompletionOption:
    name = as_words(found.name)
    return CompletionOption(
        kind="tag",
        label=found.alias or name,
        insert=escaped(name) + end,
        detail=found.note or found.category,
        count=found.uses,
        alias_of=name if found.alias else None,
    )


def _loras(loras: Sequence[Word], typed: str) -> list[CompletionOption]:
    """Those in whose name or other words each typed word occurs; names that begin with it first."""
    parts = typed.lower().split()
    first = parts[0] if parts else ""
    fitting = [each for each in loras if all(part in f"{each.name} {each.also}".lower() for part in parts)]
    fitting.sort(key=lambda each: not each.bare_name.lower().startswith(first))
    return [_option("lora", each, f"<lora:{each.name}:{each.weight:g}>") for each in fitting[:MOST]]


def named(words: Sequence[Word], typed: str, anywhere: bool, only_beginnings: bool = False) -> list[Word]:
    """Words whose name begins so, then those with a word in the name that does, then, with `anywhere`, those
    that hold it anywhere."""
    typed = typed_form(typed)
    groups: list[list[Word]] = [[], [], []]
    for word in words:
        name = typed_form(word.name)
        at = name.find(typed)
        if at < 0:
            continue
        if at == 0 or typed_form(word.bare_name).startswith(typed):
            groups[0].append(word)
            continue
        while at > 0 and is_in_word(name[at - 1]):
            at = name.find(typed, at + 1)
        groups[1 if at > 0 else 2].append(word)
    taken = 1 if only_beginnings else 3 if anywhere else 2
    return [each for group in groups[:taken] for each in group][:MOST]
