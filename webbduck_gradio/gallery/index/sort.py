"""The orders in which the gallery can be listed, and the words that it is sorted by."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from ...errors import RequestError

KEY_LETTERS = 100
"""Letters of a text that count for its place; what is the same so far is ordered by time."""
LAST = "\U0010ffff"
"""Comes after all text: the place of pictures without a prompt, or without a checkpoint."""


@dataclass(frozen=True)
class Order:
    """`column` of the index's tables `images` and `runs`; None: the time. What is equal stands newest first.

    A run has the place of that of its pictures which comes first.
    """

    column: str | None
    descending: bool

    @property
    def direction(self) -> str:
        """SQL's word for it."""
        return "DESC" if self.descending else "ASC"

    @property
    def sql_aggregate(self) -> str:
        """SQL's name for the value that stands first."""
        return "max" if self.descending else "min"


ORDERS = {
    "newest": Order(None, True),
    "oldest": Order(None, False),
    "picture_size": Order("pixels", True),
    "file_size": Order("size_bytes", True),
    "prompt": Order("prompt", False),
    "checkpoint": Order("model", False),
}
"""By name. Sizes: the largest first; texts by the alphabet, without regard to case and accents."""


def order_of(name: object) -> Order:
    """The order of this name. Raises `RequestError` for one that there is not."""
    found = ORDERS.get(name) if isinstance(name, str) else None
    if found is None:
        raise RequestError(f"order must be one of: {', '.join(ORDERS)}.")
    return found


def key(text: str) -> str:
    """What `text` is sorted by: its letters without case and accents, from the first letter or digit on."""
    start = next((place for place, letter in enumerate(text) if letter.isalnum()), None)
    if start is None:
        return LAST
    plain = unicodedata.normalize("NFKD", text[start : start + KEY_LETTERS].casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return plain[:KEY_LETTERS].encode("utf-8", "replace").decode()
