"""Styles of files that a user gives: styles.csv of A1111, and JSON as Fooocus and its family keep them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import RequestError
from ..storage.reading import MAX_TEXT
from .style_csv import Row, StyleFile
from .style_rows import json_rows

Texts = tuple[str, str, str]


def styles_in(text: Any) -> list[Texts]:
    """(name, prompt, negative prompt) of each style of a file's text; rows without texts are left out.

    Raises `RequestError` with one sentence if it holds none.
    """
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise RequestError(f"A file of styles must be a text of at most {MAX_TEXT // 2**20} MB.")
    try:
        found = [(row.name, row.prompt, row.negative_prompt) for row in _rows(text)]
    except ValueError as error:
        raise RequestError(f"The file {error}.") from None
    styles = [each for each in found if each[0].strip() and (each[1].strip() or each[2].strip())]
    if not styles:
        raise RequestError("The file holds no styles.")
    return styles


def _rows(text: str) -> Iterable[Row]:
    text = text.lstrip("\ufeff")
    if text.lstrip().startswith(("[", "{")):
        return json_rows(text).rows
    return StyleFile.parse(text.encode("utf-8", "replace")).rows()
