"""Sort orders of the gallery and the sort keys of texts."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from ...errors import RequestError

KEY_LETTERS = 100
"""Length of a sort key; texts with equal keys are sorted by time."""
LAST = "\U0010ffff"
"""Sorts after all text: key of images without a prompt or checkpoint."""


@dataclass(frozen=True)
class Order:
    """A sort order. `column` of the tables `images` and `runs`; None: by time. Ties: newest first.

    A run is sorted by whichever of its images comes first.
    """

    column: str | None
    descending: bool

    @property
    def direction(self) -> str:
        """The SQL keyword."""
        return "DESC" if self.descending else "ASC"

    @property
    def sql_aggregate(self) -> str:
        """The SQL aggregate that yields the value sorted first."""
        return "max" if self.descending else "min"


ORDERS = {
    "newest": Order(None, True),
    "oldest": Order(None, False),
    "picture_size": Order("pixels", True),
    "file_size": Order("size_bytes", True),
    "prompt": Order("prompt", False),
    "checkpoint": Order("model", False),
}
"""By name. Sizes: largest first; texts alphabetically, ignoring case and accents."""


def order_of(name: object) -> Order:
    """The order of this name. Raises `RequestError` for an unknown one."""
    found = ORDERS.get(name) if isinstance(name, str) else None
    if found is None:
        raise RequestError(f"order must be one of: {', '.join(ORDERS)}.")
    return found


def key(text: str) -> str:
    """Sort key of a text: without case and accents, from the first letter or digit on."""
    start = next((place for place, letter in enumerate(text) if letter.isalnum()), None)
    if start is None:
        return LAST
    plain = unicodedata.normalize("NFKD", text[start : start + KEY_LETTERS].casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return plain[:KEY_LETTERS].encode("utf-8", "replace").decode()
