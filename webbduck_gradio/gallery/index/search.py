"""Parses the gallery's search syntax.

    red duck            images with both words (prefixes match, from three letters on)
    "red duck"          these words in this order
    -hat                without this word
    model:starter       in the checkpoint's name; likewise lora: sampler: prompt: negative: name: tool: kind:
    model:="my model"   a checkpoint of exactly this name; likewise lora:= and sampler:=
    seed:42             this seed; size:1024x768 or size:1024 (one of the sides)
    date:2025-11        that month; also 2025, 2025-11-22, >=2025-11-01, <2025-11, 2025-01..2025-03,
                        today, yesterday
    is:favourite        also is:img2img, is:inpaint, is:upscaled ...: the words of kind:

Anything else with a colon is searched for as text, because prompts contain colons too.
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
"""Columns with names, each followed by its `exact_word`."""
MARK = "\ue000"
"""First character of `exact_word`: a private use character, which does not occur in normal text."""
FAVOURITE_WORDS = ("favourite", "favourites", "favorite", "favorites", "fav", "favorit")
MIN_PREFIX = 3
MAX_TERMS = 32

TERM = re.compile(r'(-?)(?:([A-Za-z]+):(=?))?(?:"([^"]*)"?|(\S+))')
UNSPACED = re.compile(
    "([\u1100-\u11ff\u2600-\u27bf\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U0001f000-\U0001faff])"
)
"""Characters of scripts without spaces, and emoji: each is indexed as a word."""


@dataclass(frozen=True)
class Query:
    """`match` and `without` are FTS5 expressions; times in seconds since 1970, `until` exclusive."""

    match: str | None = None
    without: str | None = None
    since: float | None = None
    until: float | None = None

    @property
    def empty(self) -> bool:
        return self == Query()


def exact_word(name: str) -> str:
    """One token for a whole name, so that "Euler" does not match "Euler a". Case-insensitive."""
    return MARK + hashlib.sha256(name.casefold().encode("utf-8", "replace")).hexdigest()[:16]


def words(text: str) -> str:
    """Text as indexed: characters of scripts without spaces separated, no NUL, no lone surrogates."""
    text = text.replace("\0", " ")
    if text.isascii():
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # lone surrogates become �
    return UNSPACED.sub(r" \1 ", whole)


def parse(text: str) -> Query:
    """Parse a search. Raises `RequestError` for an invalid date or too many words."""
    match: list[str] = []
    without: list[str] = []
    since, until = None, None
    terms = list(TERM.finditer(text))
    if len(terms) > MAX_TERMS:
        raise RequestError(f"The search has {len(terms)} words; at most {MAX_TERMS} are possible.")
    for minus, name, equals, quoted, word in (term.groups() for term in terms):
        name = (name or "").lower()
        if equals and FIELDS.get(name) in NAMES:
            exact = exact_word(quoted if quoted is not None else word or "")
            (without if minus else match).append(f"{{{FIELDS[name]}}} : {_phrase(exact)}")
            continue
        if equals and name not in (*FIELDS, "date"):
            quoted, word = None, f"={quoted if quoted is not None else word}"  # part of the text
        if word and word.endswith(":") and word[:-1].lower() in {*FIELDS, "date"}:
            continue  # a filter still being typed
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
    """One term as an FTS5 expression; None if it contains nothing that is indexed."""
    given = quoted if quoted is not None else word or ""
    column = FIELDS.get(name)
    if column == "kind" and given.casefold() in FAVOURITE_WORDS:
        given = "favourite"
    if column == "size":
        given = given.replace("×", "x").replace("*", "x")
    given = words(given)
    if not any(letter.isalnum() or UNSPACED.match(letter) for letter in given):
        return None
    phrase = _phrase(given)
    length = len(re.sub(r"\W+$", "", given))
    prefix = quoted is None and column not in EXACT and length >= MIN_PREFIX
    return f"{{{column}}} : {phrase}{'*' if prefix else ''}" if column else phrase + ("*" if prefix else "")


def _phrase(text: str) -> str:
    return '"' + text.replace('"', '""').strip() + '"'


def _date(text: str) -> tuple[float | None, float | None]:
    sign = re.match(r"(>=|<=|>|<|)(.*)$", text.strip().lower())
    assert sign is not None  # the pattern matches any single line
    if ".." in text and not sign[1]:
        first, _, last = sign[2].partition("..")
        return (_date_range(first)[0] if first else None), (_date_range(last)[1] if last else None)
    start, end = _date_range(sign[2])
    return {"": (start, end), ">=": (start, None), ">": (end, None), "<": (None, start), "<=": (None, end)}[
        sign[1]
    ]


def _date_range(text: str) -> tuple[float, float]:
    """Start and end (exclusive) of a year, month or day in local time, in seconds since 1970."""
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
    """The intersection of two time ranges."""
    since = [limit for limit in (one[0], other[0]) if limit is not None]
    until = [limit for limit in (one[1], other[1]) if limit is not None]
    return (max(since) if since else None), (min(until) if until else None)
