"""What the gallery lists, asked of the index: pictures that match, how many per folder, names to choose."""

from __future__ import annotations

import sqlite3
from typing import Any

from .search import NAMES, Query, exact_word

PER_MILLISECOND = 1024
"""Row numbers per millisecond; when they are taken, the next millisecond's are used."""


def select(
    what: str, query: Query, oldest_first: bool | None = False, joined: bool = False
) -> tuple[str, list[Any]]:
    """A SELECT over the pictures that match; `oldest_first` None: in no order, and then `joined` tells
    whether `what` is about the table `images`."""
    where: list[str] = []
    values: list[Any] = []
    table, key = "images", "images.id"
    if query.match:
        table, key = "search CROSS JOIN images ON images.id = search.rowid", "search.rowid"
        expression = f"({query.match}) NOT ({query.without})" if query.without else query.match
        where.append("search MATCH ?")
        values.append(expression)
    else:
        where.append("images.variant_of IS NULL")
        if query.without:
            where.append("images.id NOT IN (SELECT rowid FROM search WHERE search MATCH ?)")
            values.append(query.without)
    if query.since is not None:
        where.append(f"{key} >= ?")
        values.append(first_id(query.since))
    if query.until is not None:
        where.append(f"{key} < ?")
        values.append(first_id(query.until))
    if oldest_first is None and query.match and not joined:
        table = "search"  # counting needs the full-text index alone
    order = "" if oldest_first is None else f" ORDER BY {key} {'ASC' if oldest_first else 'DESC'}"
    return f"SELECT {what} FROM {table} WHERE {' AND '.join(where)}{order}", values


def first_id(seconds: float) -> int:
    """Lowest row number of a picture made at this time (seconds since 1970) or later."""
    return round(seconds * 1000) * PER_MILLISECOND


def counts(db: sqlite3.Connection, query: Query, oldest_first: bool) -> list[int]:
    """How many pictures of each folder match, for the folders with any, by their newest (or oldest) match."""
    if query.empty:
        order = "created, id" if oldest_first else "created DESC, id DESC"
        rows = db.execute(f"SELECT images FROM runs WHERE images > 0 ORDER BY {order}")
    else:
        sql, values = select("run, images.id AS image", query, None, joined=True)
        order = "min(image)" if oldest_first else "max(image) DESC"
        rows = db.execute(f"SELECT count(*) FROM ({sql}) GROUP BY run ORDER BY {order}", values)
    return [count for (count,) in rows]


def names(db: sqlite3.Connection) -> dict[str, list[tuple[str, int]]]:
    """Names that pictures were made with, by column, in the order of the alphabet, and how many pictures."""
    found: dict[str, list[tuple[str, int]]] = {column: [] for column in NAMES}
    for column, name in db.execute("SELECT kind, name FROM names").fetchall():
        asked = f'{{{column}}} : "{exact_word(name)}"'
        (count,) = db.execute("SELECT count(*) FROM search WHERE search MATCH ?", (asked,)).fetchone()
        if count:  # names stay when their last picture goes
            found[column].append((name, count))
    return {column: sorted(each, key=lambda entry: entry[0].casefold()) for column, each in found.items()}
