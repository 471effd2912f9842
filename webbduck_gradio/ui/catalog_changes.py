"""The catalog for a page: whole, or of its long lists only what differs from what the page has.

With many thousand models the whole is megabytes, which each new file would send to each page again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

LISTS = ("checkpoints", "loras", "embeddings")
KEPT = 3
"""Versions to which differences can be told."""

View = dict[str, Any]


class CatalogChanges:
    """Remembers what was sent for the latest versions. Thread-safe."""

    def __init__(self, look: Callable[[], View]):
        """`look` gives the whole catalog."""
        self._look = look
        self._lock = threading.Lock()
        self._sent: dict[str, View] = {}

    def view(self, known: object, version: str) -> tuple[View, str]:
        """What a page that has the version `known` lacks (`shared/catalog_changes.js` puts it together), and
        the version that it has then."""
        whole = self._look()
        lists = {name: whole[name] for name in LISTS}
        with self._lock:
            before = self._sent.get(known) if isinstance(known, str) else None
            if self._sent.setdefault(version, lists) != lists:
                # The catalog changed in between: nothing is told by its difference to this.
                version += "+"
            for old in list(self._sent)[:-KEPT]:
                del self._sent[old]
        if before is None:
            return whole, version
        return whole | {name: difference(before[name], lists[name]) for name in LISTS}, version


def difference(before: Sequence[View], now: Sequence[View]) -> View:
    """What makes a list of entries with names of their own into another: {"gone": names, "put": [[index,
    entry]], "count": its length}."""
    old = {each["name"]: each for each in before}
    names = {each["name"] for each in now}
    put = [[index, each] for index, each in enumerate(now) if old.get(each["name"]) != each]
    return {"gone": [name for name in old if name not in names], "put": put, "count": len(now)}
