"""Sizes and days of all that a listing shows, so that the page can lay its grid out before it has the images.

Long lists are run-length encoded, since neighbours mostly have the same size and day.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..run_layout import name_order
from .queries import all_runs_by, matching_runs, select, time_of
from .rows import MAX_SHOWN
from .search import Query
from .sort import Order

SQUARE = 1000
SHAPE = f"ifnull({SQUARE} * images.width / nullif(images.height, 0), {SQUARE})"
"""Width by height of an image in thousandths; a square where they are not known."""

T = TypeVar("T")


@dataclass(frozen=True)
class GridLayout:
    """Sizes of a listing, in its order.

    `counts`: images shown for each run; of a listing of single images, 1 for each. `shapes`: [length, width
    by height in thousandths] for the images shown. `days`: [length, local date as YYYY-MM-DD] for the runs or
    single images; empty if they are not sorted by time.
    """

    counts: list[int]
    shapes: list[tuple[int, int]]
    days: list[tuple[int, str]]


def of_runs(db: sqlite3.Connection, query: Query, order: Order) -> GridLayout:
    """The layout of `page_of_runs` over all pages."""
    if query.empty:
        rows = db.execute(
            "SELECT runs.id, runs.images, of_run.least, of_run.most, created FROM runs JOIN"
            f" (SELECT run, min({SHAPE}) AS least, max({SHAPE}) AS most FROM images"
            " WHERE variant_of IS NULL GROUP BY run) AS of_run ON of_run.run = runs.id"
            f" WHERE runs.images > 0 ORDER BY {all_runs_by(order)}"
        ).fetchall()
        times = (row[4] for row in rows)
    else:
        what = f"run, count(*), min(shape), max(shape), {order.sql_aggregate}(image)"
        sql, values = matching_runs(what, query, order, f", {SHAPE} AS shape")
        rows = db.execute(sql, values).fetchall()
        times = (time_of(row[4]) for row in rows)
    mixed = _mixed_shapes(db, query, order, [row[0] for row in rows if row[2] != row[3]])
    counts = [min(row[1], MAX_SHOWN) for row in rows]
    shapes = itertools.chain.from_iterable(
        mixed.get(row[0]) or itertools.repeat(row[2], count) for row, count in zip(rows, counts, strict=True)
    )
    return GridLayout(counts, _encoded(shapes), [] if order.column else _encoded(_days(times)))


def of_images(db: sqlite3.Connection, query: Query, order: Order) -> GridLayout:
    """The layout of all matching images, each on its own."""
    rows = db.execute(*select(f"images.id, {SHAPE}", query, order, joined=True)).fetchall()
    days = [] if order.column else _encoded(_days(time_of(row[0]) for row in rows))
    return GridLayout([1] * len(rows), _encoded(row[1] for row in rows), days)


def _mixed_shapes(
    db: sqlite3.Connection, query: Query, order: Order, runs: Sequence[int]
) -> dict[int, list[int]]:
    """Shapes of the images that are shown for these runs, in the order of `run_infos`."""
    if not runs:
        return {}
    sql, values = select(f"images.run, images.id, images.name, {SHAPE}", query, None, joined=True)
    found: dict[int, list[tuple[int, str, int]]] = {}
    chosen = f"{sql} AND images.run IN (SELECT value FROM json_each(?))"  # of any number
    for run, image, name, shape in db.execute(chosen, (*values, json.dumps(runs))):
        found.setdefault(run, []).append((image, name, shape))
    newest_first = query.empty or order.descending or order.column is not None
    shapes = {}
    for run, images in found.items():
        shown = sorted(images, reverse=newest_first)[:MAX_SHOWN]
        shapes[run] = [shape for _, _, shape in sorted(shown, key=lambda image: name_order(image[1]))]
    return shapes


def _days(times: Iterable[float]) -> Iterator[str]:
    """The local date of each time (seconds since 1970); times of one day follow each other."""
    start, end, day = 0.0, 0.0, ""
    for seconds in times:
        if not start <= seconds < end:
            date = time.localtime(seconds)
            day = time.strftime("%Y-%m-%d", date)
            start = time.mktime((*date[:3], 0, 0, 0, 0, 0, -1))
            end = time.mktime((*date[:2], date[2] + 1, 0, 0, 0, 0, 0, -1))
        yield day


def _encoded(values: Iterable[T]) -> list[tuple[int, T]]:
    return [(sum(1 for _ in same), value) for value, same in itertools.groupby(values)]
