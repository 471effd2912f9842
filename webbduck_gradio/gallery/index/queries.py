"""SQL queries of the index: matching images, their folders, names to filter by."""

from __future__ import annotations

import sqlite3
from typing import Any

from .search import NAMES, Query, exact_word
from .sort import ORDERS, Order

NEWEST = ORDERS["newest"]
PER_MILLISECOND = 1024
"""Row ids per millisecond; when they are used up, those of the next millisecond are taken."""


def select(
    what: str, query: Query, order: Order | None = NEWEST, joined: bool = False
) -> tuple[str, list[Any]]:
    """A SELECT over the matching images. With `order` None it is unsorted, and `joined` says whether `what`
    refers to columns of `images`."""
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
    if order is None and query.match and not joined:
        table = "search"  # counting needs the full-text index alone
    sorting = ""
    if order is not None:
        first = f"images.{order.column} {order.direction}, " if order.column else ""
        sorting = f" ORDER BY {first}{key} {'DESC' if order.column else order.direction}"
    return f"SELECT {what} FROM {table} WHERE {' AND '.join(where)}{sorting}", values


def first_id(seconds: float) -> int:
    """Lowest row id of an image created at this time (seconds since 1970) or later."""
    return round(seconds * 1000) * PER_MILLISECOND


def time_of(image: int) -> float:
    """When the image with this row id was created, in seconds since 1970."""
    return image / PER_MILLISECOND / 1000


def page_of_runs(
    db: sqlite3.Connection, query: Query, order: Order, start: int, limit: int
) -> dict[int, list[int] | None]:
    """Folders with a matching image, in order -> row ids of the matching images; None means all."""
    if query.empty:
        rows = db.execute(
            f"SELECT id FROM runs WHERE images > 0 ORDER BY {all_runs_by(order)} LIMIT ? OFFSET ?",
            (limit, start),
        )
        return {run: None for (run,) in rows}
    found: dict[int, list[int]] = {}
    if order.column is None:  # rows come in this order, so stop after this page
        for image, run in db.execute(*select("images.id, images.run", query, order)):
            if run not in found and len(found) == start + limit:
                break
            found.setdefault(run, []).append(image)
        return {run: found[run] for run in list(found)[start:]}
    sql, values = matching_runs("run, group_concat(image)", query, order)
    rows = db.execute(f"{sql} LIMIT ? OFFSET ?", (*values, limit, start))
    return {run: sorted(map(int, images.split(",")), reverse=True) for run, images in rows}


def all_runs_by(order: Order) -> str:
    """What the folders are sorted by where all are listed."""
    time = "DESC" if order.column else order.direction
    return f"{f'{order.column} {order.direction}, ' if order.column else ''}created {time}, id {time}"


def matching_runs(what: str, query: Query, order: Order, more: str = "") -> tuple[str, list[Any]]:
    """A SELECT over the folders with a matching image; "by time" is the time of the matching image. `more`:
    further columns of the images, for `what`."""
    place = f", images.{order.column} AS place" if order.column else ""
    sql, values = select(f"images.run AS run, images.id AS image{place}{more}", query, None, joined=True)
    by = f"{order.sql_aggregate}(place) {order.direction}, max(image) DESC"
    if not order.column:
        by = f"{order.sql_aggregate}(image) {order.direction}"
    return f"SELECT {what} FROM ({sql}) GROUP BY run ORDER BY {by}", values


def names(db: sqlite3.Connection) -> dict[str, list[tuple[str, int]]]:
    """(name, number of images) by column, sorted alphabetically."""
    found: dict[str, list[tuple[str, int]]] = {column: [] for column in NAMES}
    for column, name in db.execute("SELECT kind, name FROM names").fetchall():
        match = f'{{{column}}} : "{exact_word(name)}"'
        (count,) = db.execute("SELECT count(*) FROM search WHERE search MATCH ?", (match,)).fetchone()
        if count:  # a name stays in the table after its last image is gone
            found[column].append((name, count))
    return {column: sorted(each, key=lambda entry: entry[0].casefold()) for column, each in found.items()}
