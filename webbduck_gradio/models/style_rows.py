"""The styles of a file, in A1111's CSV or in JSON: Fooocus' lists, SD.Next's files with one style each, and
collections by name.

Sources: Fooocus modules/sdxl_styles, SD.Next modules/styles.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..storage.reading import parse_json, read_regular, whole_text
from .style_csv import NAME, NEGATIVE, PROMPT, Row, StyleFile

JSON = ".json"
NEGATIVES = (NEGATIVE, "negative")
"""Fooocus' key, and SD.Next's."""
EXTRA = "extra"
"""SD.Next's key of settings that come with a style."""


@dataclass(frozen=True)
class StyleRows:
    """`others`: entries that are no styles. `with_settings`: styles with settings beside their texts, which
    are not used. `is_list`: whether the file is made for many styles."""

    rows: tuple[Row, ...]
    others: int = 0
    with_settings: int = 0
    is_list: bool = True


def read_rows(path: Path) -> StyleRows:
    """Raises `OSError`, and `ValueError` with what follows the file's name in a sentence."""
    data = read_regular(path)
    if path.suffix.casefold() != JSON:
        return StyleRows(tuple(StyleFile.parse(data).rows()))
    return json_rows(data, path.stem)


def json_rows(data: bytes | str, stem: str = "") -> StyleRows:
    """Those of a file in JSON; one without a name is called `stem`. Raises as `read_rows`."""
    try:
        content = parse_json(data)
    except ValueError:
        raise ValueError("is not valid JSON") from None
    is_one = isinstance(content, dict) and bool({NAME, PROMPT} & content.keys())
    if isinstance(content, dict) and not is_one:
        content = [{NAME: name, **each} if isinstance(each, dict) else each for name, each in content.items()]
    entries = content if isinstance(content, list) else [content]
    found = tuple(_rows(entries, stem))
    settings = sum(isinstance(each, dict) and bool(str(each.get(EXTRA) or "").strip()) for each in entries)
    return StyleRows(found, len(entries) - len(found), settings, not is_one)


def _rows(entries: list[Any], stem: str) -> Iterator[Row]:
    for index, each in enumerate(entries):
        if not isinstance(each, dict) or not {NAME, PROMPT} & each.keys():
            continue
        negative = next((each[key] for key in NEGATIVES if each.get(key)), "")
        name, prompt = each.get(NAME) or stem, each.get(PROMPT) or ""
        if all(isinstance(text, str) for text in (name, prompt, negative)):
            name = " ".join(whole_text(name).split())
            yield Row(index, name, whole_text(prompt), whole_text(negative))
