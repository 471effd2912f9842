"""Converts index rows to `RunInfo` and `ImageInfo`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from .. import run_layout
from ..run_layout import ImageInfo, RunInfo

MAX_SHOWN = 200
"""Maximum number of images in a `RunInfo`; only folders of other programs hold more."""


def run_infos(
    db: sqlite3.Connection, root: Path, page: Sequence[int], ids: Sequence[int] | None, with_meta: bool = True
) -> list[RunInfo]:
    """Folders `page` with the images `ids`, or with their newest ones if `ids` is None."""
    about = {
        row["id"]: row
        for row in db.execute(
            f"SELECT id, name, created, images, head FROM runs WHERE id IN ({placeholders(page)})", page
        )
    }
    if ids is None:
        small = [run for run in page if about[run]["images"] <= MAX_SHOWN]
        select = "SELECT * FROM images WHERE variant_of IS NULL AND run"
        rows = db.execute(f"{select} IN ({placeholders(small)})", small).fetchall()
        for run in set(page) - set(small):
            rows += db.execute(f"{select} = ? ORDER BY id DESC LIMIT ?", (run, MAX_SHOWN)).fetchall()
    else:
        rows = rows_of(db, ids)
    infos = image_infos(db, rows)
    images: dict[int, list[ImageInfo]] = {}
    for row in sorted(rows, key=lambda row: run_layout.name_order(row["name"])):
        images.setdefault(row["run"], []).append(infos[row["id"]])
    infos_of_page = []
    for run in page:
        name, head = about[run]["name"], json.loads(about[run]["head"])
        read = with_meta and name
        meta, problem = run_layout.read_meta(root / name) if read else ({}, head["problem"])
        infos_of_page.append(
            RunInfo(
                name, about[run]["created"], tuple(images.get(run, ())), meta, problem,
                about[run]["images"], head["prompt"], tuple(head["facts"]),
            )
        )  # fmt: skip
    return infos_of_page


def rows_of(db: sqlite3.Connection, ids: Sequence[int]) -> list[sqlite3.Row]:
    return db.execute(f"SELECT * FROM images WHERE id IN ({placeholders(ids)})", ids).fetchall()


def image_infos(db: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> dict[int, ImageInfo]:
    """Row id -> image."""
    of = sorted({row["run"] for row in rows})
    runs = db.execute(f"SELECT id, name, head FROM runs WHERE id IN ({placeholders(of)})", of).fetchall()
    names = {run["id"]: run["name"] for run in runs}
    prompts = {run["id"]: json.loads(run["head"])["prompt"] for run in runs}
    variants: dict[tuple[int, str], list[str]] = {}
    select = "SELECT run, name, variant_of FROM images WHERE variant_of IS NOT NULL AND run"
    for run, name, original in db.execute(f"{select} IN ({placeholders(of)})", of):
        variants.setdefault((run, original), []).append(name)
    return {
        row["id"]: ImageInfo(
            id=run_layout.image_id(names[row["run"]], row["name"]),
            seed=row["seed"],
            size_bytes=row["size_bytes"],
            modified=row["modified_ns"] / 1e9,
            variants=tuple(
                run_layout.image_id(names[row["run"]], name)
                for name in sorted(variants.get((row["run"], row["name"]), ()), key=run_layout.name_order)
            ),
            width=row["width"],
            height=row["height"],
            favourite=bool(row["favourite"]),
            problem=row["problem"],
            prompt=prompts[row["run"]],
        )
        for row in rows
    }


def placeholders(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
