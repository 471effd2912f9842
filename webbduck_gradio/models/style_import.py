"""Styles of files that a user gives: styles.csv of A1111, and JSON as Fooocus and its family keep them."""

from __future__ import annotations

from typing import Any

from ..errors import RequestError
from ..storage.reading import MAX_TEXT, parse_json
from .style_csv import StyleFile

Texts = tuple[str, str, str]


def styles_in(text: Any) -> list[Texts]:
    """(name, prompt, negative prompt) of each style of a file's text; rows without texts are left out.

    Raises `RequestError` with one sentence if it holds none.
    """
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise RequestError(f"A file of styles must be a text of at most {MAX_TEXT // 2**20} MB.")
    try:
        found = _of_json(text) if text.lstrip("\ufeff \r\n\t").startswith(("[", "{")) else _of_csv(text)
    except ValueError as error:
        raise RequestError(f"The file {error}.") from None
    styles = [each for each in found if each[0].strip() and (each[1].strip() or each[2].strip())]
    if not styles:
        raise RequestError("The file holds no styles.")
    return styles


def _of_csv(text: str) -> list[Texts]:
    rows = StyleFile.parse(text.encode("utf-8", "replace")).rows()
    return [(row.name, row.prompt, row.negative_prompt) for row in rows]


def _of_json(text: str) -> list[Texts]:
    try:
        content = parse_json(text.lstrip("\ufeff"))
    except ValueError:
        raise ValueError("is no valid JSON") from None
    if isinstance(content, dict):  # SD.Next and some collections: {name: {"prompt", "negative_prompt"}}
        content = [{"name": name, **each} for name, each in content.items() if isinstance(each, dict)]
    return [
        (each["name"], _text(each.get("prompt")), _text(each.get("negative_prompt")))
        for each in content
        if isinstance(each, dict) and isinstance(each.get("name"), str)
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
