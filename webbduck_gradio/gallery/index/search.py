"""What is typed into the gallery's search field, as a query of the index.

    red duck            pictures with both words (beginnings of words, from three letters on)
    "red duck"          these words in this order
    -hat                without the word
    model:starter       in the checkpoint's name; likewise lora: sampler: prompt: negative: name: tool: kind:
    model:="my model"   a checkpoint of exactly this name; likewise lora:= and sampler:=
    seed:42             this seed; size:1024x768 or size:1024 (one of the sides)
    date:2025-11        that month; also 2025, 2025-11-22, >=2025-11-01, <2025-11, 2025-01..2025-03,
                        today, yesterday
    is:favourite        also is:img2img, is:inpaint, is:upscaled ...: the words of kind:

What has a colon and is none of these is looked for as text, because prompts have colons too.
"""

from __future__ import annotations

import calendar
import hashlib
import re
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...errors import RequestError

COLUMNS = ("prompt", "negative", "model", "lora", "sampler", "seed", "size", "kind", "tool", "name")
"""Columns of the full-text index."""
FIELDS = {name: name for name in COLUMNS} | {
    "checkpoint": "model",
    "loras": "lora",
    "scheduler": "sampler",
    "is": "kind",
    "file": "name",
}
EXACT = ("seed", "size")
NAMES = ("model", "lora", "sampler")
"""Columns that hold names, each followed by its `exact_word`."""
MARK = "\ue000"
"""Begins the one word of the index that stands for a whole name; it stands in no text that people write."""
FAVOURITE_WORDS = ("favourite", "favourites", "favorite", "favorites", "fav", "favorit")
MIN_PREFIX = 3
MAX_TERMS = 32

TERM = re.compile(r'(-?)(?:([A-Za-z]+):(=?))?(?:"([^"]*)"?|(\S+))')
ALONE = re.compile(
    "([\u1100-\u11ff\u2600-\u27bf\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U0001f000-\U0001faff])"
)
"""Letters of scripts without spaces, and emoji: each is a word of its own in the index."""


@dataclass(frozen=True)
class Query:
    """`match` and `without` are expressions of FTS5; times in seconds since 1970, `until` excluded."""

    match: str | None = None
    without: str | None = None
    since: float | None = None
    until: float | None = None

    @property
    def empty(self) -> bool:
        return self == Query()


def exact_word(name: str) -> str:
    """One word for a whole name, so that "Euler" is told from "Euler a". Case makes no difference."""
    return MARK + hashlib.sha256(name.casefold().encode("utf-8", "replace")).hexdigest()[:16]


def words(text: str) -> str:
    """Text as the index stores it: letters of scripts without spaces apart, no NUL, no half pairs."""
    text = text.replace("\0", " ")
    if text.isascii():
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # halves of pairs become �
    return ALONE.sub(r" \1 ", whole)


def parse(text: str) -> Query:
    """Understand a search. Raises `RequestError` with a sentence for a date that is none."""
    match: list[str] = []
    without: list[str] = []
    since, until = None, None
    terms = list(TERM.finditer(text))
    if len(terms) > MAX_TERMS:
        raise RequestError(f"The search has {len(terms)} words; at most {MAX_TERMS} are possible.")
    for minus, name, equals, quoted, word in (term.groups() for term in terms):
        name = (name or "").lower()
        if equals and FIELDS.get(name) in NAMES:
            asked = exact_word(quoted if quoted is not None else word or "")
            (without if minus else match).append(f"{{{FIELDS[name]}}} : {_phrase(asked)}")
            continue
        if equals and name not in (*FIELDS, "date"):
            quoted, word = None, f"={quoted if quoted is not None else word}"  # a part of the text
        if word and word.endswith(":") and word[:-1].lower() in {*FIELDS, "date"}:
            continue  # a filter that is still being typed
        if name == "date" and not minus:
            since, until = _intersect((since, until), _date(quoted or word or ""))
            continue
        if name and name not in FIELDS:
            quoted, word = None, f"{name}:{quoted if quoted is not None else word}"
            name = ""
        expression = _expression(name, quoted, word)
        if expression:
            (without if minus else match).append(expression)
    return Query(" AND ".join(match) or None, " OR ".join(without) or None, since, until)


def _expression(name: str, quoted: str | None, word: str | None) -> str | None:
    """One term in FTS5's language; None where nothing in it is ever indexed."""
    given = quoted if quoted is not None else word or ""
    column = FIELDS.get(name)
    if column == "kind" and given.casefold() in FAVOURITE_WORDS:
        given = "favourite"
    if column == "size":
        given = given.replace("×", "x").replace("*", "x")
    given = words(given)
    if not any(letter.isalnum() or ALONE.match(letter) for letter in given):
        return None
    phrase = _phrase(given)
    length = len(re.sub(r"\W+$", "", given))
    prefix = quoted is None and column not in EXACT and length >= MIN_PREFIX
    return f"{{{column}}} : {phrase}{'*' if prefix else ''}" if column else phrase + ("*" if prefix else "")


def _phrase(text: str) -> str:
    return '"' + text.replace('"', '""').strip() + '"'


def _date(text: str) -> tuple[float | None, float | None]:
    sign = re.match(r"(>=|<=|>|<|)(.*)$", text.strip().lower())
    assert sign is not None  # the pattern matches every line
    if ".." in text and not sign[1]:
        first, _, last = sign[2].partition("..")
        return (_date_range(first)[0] if first else None), (_date_range(last)[1] if last else None)
    start, end = _date_range(sign[2])
    return {"": (start, end), ">=": (start, None), ">": (end, None), "<": (None, start), "<=": (None, end)}[
        sign[1]
    ]


def _date_range(text: str) -> tuple[float, float]:
    """First second of a year, month or day, and the first one after it; local time."""
    day = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("today", "yesterday"):
        start = day if text == "today" else day - timedelta(days=1)
        return _seconds(start), _seconds(start + timedelta(days=1))
    match = re.fullmatch(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", text)
    try:
        if match is None:
            raise ValueError
        year, month, number = int(match[1]), int(match[2] or 1), int(match[3] or 1)
        start = datetime(year, month, number)
        if match[3]:
            return _seconds(start), _seconds(start + timedelta(days=1))
        if match[2]:
            return _seconds(start), _seconds(start + timedelta(days=calendar.monthrange(year, month)[1]))
        return _seconds(start), _seconds(datetime(year + 1, 1, 1))
    except (ValueError, OverflowError):
        raise RequestError(
            f"date: takes a day, month or year such as 2025-11-22, 2025-11 or 2025, not {text[:40]!r}."
        ) from None


def _seconds(local: datetime) -> float:
    return time.mktime(local.timetuple())


def _intersect(
    one: tuple[float | None, float | None], other: tuple[float | None, float | None]
) -> tuple[float | None, float | None]:
    """The time that is in both spans."""
    since = [limit for limit in (one[0], other[0]) if limit is not None]
    until = [limit for limit in (one[1], other[1]) if limit is not None]
    return (max(since) if since else None), (min(until) if until else None)
