"""The gallery's index: SQLite with full-text search, which can be rebuilt from the folders at any time.

Row ids grow with the creation time, so "newest first" is the order of both the table and the full-text index
and a page of results needs no sorting.

Folders are read outside transactions, which stay short: saving an image never waits while thousands of other
files are read. A folder that changed in between is read again.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from .. import run_layout
from ..run_layout import Folder, ImageInfo, RunInfo
from ..upscaled_images import is_upscaled
from . import grid_layout, queries
from .database import Database
from .folders import RunUpdate, all_folders, facts_of, file_state, stamp_of
from .grid_layout import GridLayout
from .image_facts import ImageFacts
from .queries import NEWEST, PER_MILLISECOND, first_id, select
from .rows import MAX_SHOWN, image_infos, placeholders, rows_of, run_infos
from .search import COLUMNS, MARK, Query, words
from .sort import LAST, Order, key

log = logging.getLogger(__name__)

SETTLED_NS = 2 * 10**9
UNSETTLED = "0-0"
"""Stamp of a folder that changed within `SETTLED_NS`: coarse file system clocks may hide another change."""
BATCH = 256
"""Images per transaction: keeps memory low and lets other writers in between."""
ATTEMPTS = 5
NOT_STORABLE = (sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError)
MAX_PIXELS = 2**62
"""Broken files may claim dimensions whose product SQLite cannot store."""


class Index:
    """Lists, counts and updates the indexed images. Thread-safe."""

    def __init__(self, root: Path, database: Path, is_favourite: Callable[[str], bool] = lambda _: False):
        self._root = root
        self._is_favourite = is_favourite
        self.database = Database(database)
        self._compared = False

    # Reading

    def list_runs(
        self, query: Query, start: int, limit: int, order: Order = NEWEST, with_meta: bool = True
    ) -> list[RunInfo]:
        """Folders with a matching image. `with_meta`: also read their meta.json."""
        with self.database.reading() as db:
            page = queries.page_of_runs(db, query, order, start, limit)
            ids = [id for images in page.values() for id in (images or ())[:MAX_SHOWN]]
            return run_infos(db, self._root, list(page), None if query.empty else ids, with_meta)

    def list_images(self, query: Query, start: int, limit: int, order: Order = NEWEST) -> list[ImageInfo]:
        """Matching images; upscaled images are listed with their originals."""
        with self.database.reading() as db:
            sql, values = select("images.id", query, order)
            ids = [row[0] for row in db.execute(f"{sql} LIMIT ? OFFSET ?", (*values, limit, start))]
            infos = image_infos(db, rows_of(db, ids))
            return [infos[id] for id in ids]

    def one_run(self, name: str) -> RunInfo | None:
        """The folder of this name; None if it has no images."""
        with self.database.reading() as db:
            row = db.execute("SELECT id FROM runs WHERE name = ? AND images > 0", (name,)).fetchone()
            return run_infos(db, self._root, [row["id"]], None)[0] if row else None

    def count(self, query: Query) -> int:
        """Number of matching images."""
        with self.database.reading() as db:
            return int(db.execute(*select("count(*)", query, None)).fetchone()[0])

    def layout(self, query: Query, order: Order = NEWEST, flat: bool = False) -> GridLayout:
        """Sizes and days of all of `list_runs`, or of `list_images` if `flat`."""
        with self.database.reading() as db:
            return (grid_layout.of_images if flat else grid_layout.of_runs)(db, query, order)

    def names(self) -> dict[str, list[tuple[str, int]]]:
        """Checkpoints, LoRAs and samplers of the indexed images: (name, number of images)."""
        with self.database.reading() as db:
            return queries.names(db)

    def count_runs(self) -> int:
        """Number of folders with at least one image."""
        with self.database.reading() as db:
            return int(db.execute("SELECT count(*) FROM runs WHERE images > 0").fetchone()[0])

    def stamps(self, below: str = "") -> dict[str, str]:
        """Stamp of each folder when it was read; with `below`, only of that folder and its subfolders."""
        # '0' follows '/' in ASCII
        where = " WHERE name = :it OR name >= :it || '/' AND name < :it || '0'" if below else ""
        with self.database.reading() as db:
            return dict(db.execute(f"SELECT name, stamp FROM runs{where}", {"it": below}).fetchall())

    # Synchronising

    def refresh(self, names: Iterable[str]) -> bool:
        """Read these folders again; returns whether anything changed. Never raises for bad files."""
        waiting, attempts = deque(names), Counter[str]()
        ready: list[RunUpdate] = []
        changed = False
        while waiting or ready:
            parts: Iterator[RunUpdate] = self._read(waiting.popleft()) if waiting else iter(())
            for part in parts:
                ready.append(part)
                if sum(len(part.images) + 1 for part in ready) >= BATCH:
                    changed |= self._write(ready, waiting, attempts)
                    ready = []
            if not waiting and ready:
                changed |= self._write(ready, waiting, attempts)
                ready = []
        return changed

    def reconcile(
        self,
        stop: Callable[[], bool] = lambda: False,
        below: str = "",
        progress: Callable[[], None] = lambda: None,
    ) -> bool:
        """Compare all folders with the index and read those that differ; returns whether anything changed.

        Newest names first. `stop` is polled between batches; `progress` is called when more images can be
        listed. `below` restricts the scan to one folder and its subfolders. The first full scan also compares
        each file's time and size: overwriting a file in place does not change its folder's stamp.
        """
        each_file = not self._compared
        known = self.stamps(below)
        stale = []
        for name, path in all_folders(self._root, below):
            try:
                if known.pop(name, None) != run_layout.stamp(path) or (
                    each_file and self._has_changed_files(name)
                ):
                    stale.append(name)
            except OSError:
                known[name] = ""  # deleted meanwhile
        stale = list(known) + sorted(stale, key=run_layout.name_order, reverse=True)
        changed = False
        for first in range(0, len(stale), BATCH):
            if stop():
                break
            if self.refresh(stale[first : first + BATCH]):
                changed = True
                progress()
        self._compared |= not below and not stop()
        return changed

    def _has_changed_files(self, name: str) -> bool:
        """Whether an indexed image has another modification time or size on disk."""
        with self.database.reading() as db:
            query = """SELECT images.name, modified_ns, images.size_bytes FROM images
                JOIN runs ON runs.id = run WHERE runs.name = ?"""
            known = db.execute(query, (name,)).fetchall()
        return any(file_state(self._root / name / row[0]) != tuple(row)[1:] for row in known)

    def set_favourites(self, image_ids: Iterable[str], favourite: bool) -> None:
        """Update the favourite mark of these images in the index."""
        with self.database.writing() as db:
            for image_id in image_ids:
                self._set_favourite(db, image_id, favourite)

    def _set_favourite(self, db: sqlite3.Connection, image_id: str, favourite: bool) -> None:
        run, _, name = image_id.rpartition("/")
        row = db.execute(
            "SELECT images.id FROM images JOIN runs ON runs.id = run WHERE runs.name = ? AND images.name = ?",
            (run, name),
        ).fetchone()
        if row is None:
            return
        db.execute("UPDATE images SET favourite = ? WHERE id = ?", (favourite, row[0]))
        kind = db.execute("SELECT kind FROM search WHERE rowid = ?", row).fetchone()
        if kind:
            rest = " ".join(word for word in kind[0].split() if word != "favourite")
            text = f"{rest} favourite" if favourite else rest
            db.execute("UPDATE search SET kind = ? WHERE rowid = ?", (text, row[0]))

    def close(self) -> None:
        """Close all connections; readers still active get an error."""
        self.database.close()

    # Internals

    def _read(self, name: str) -> Iterator[RunUpdate]:
        """Compare a folder with the index and read its new images, in batches."""
        path = self._root / name
        stamp = stamp_of(path)
        try:
            if stamp is None:
                raise FileNotFoundError(path)
            folder = run_layout.read_folder(self._root, name)
        except OSError:
            yield RunUpdate(name, None, None, (), True)
            return
        todo = self._new_names(name, stamp, folder) if folder else []
        order = {image: position for position, image in enumerate(folder.files)} if folder else {}
        for first in range(0, max(len(todo), 1), BATCH):
            images = [
                (order[image], image, facts_of(folder, path, image))
                for image in todo[first : first + BATCH]
                if folder
            ]
            yield RunUpdate(name, stamp, folder, images, first + BATCH >= len(todo))

    def _new_names(self, name: str, stamp: str, folder: Folder) -> list[str]:
        """Images of the folder that are new or changed."""
        with self.database.reading() as db:
            run = db.execute("SELECT id, stamp, created FROM runs WHERE name = ?", (name,)).fetchone()
            if run is None:
                return list(folder.files)
            known = db.execute(
                "SELECT name, modified_ns, size_bytes, variant_of FROM images WHERE run = ?", (run["id"],)
            ).fetchall()
        # A rewritten meta.json may change the facts of every image.
        # "": not all parts of the folder have been written yet.
        settled = run["stamp"] not in ("", UNSETTLED)
        edited = settled and run["stamp"].split("-")[1] != stamp.split("-")[1]
        doubtful = not settled or run["created"] != folder.created
        if edited or (folder.meta and doubtful):
            return list(folder.files)
        had_copies = {row["variant_of"] for row in known}
        has_copies = set(folder.variant_of.values())
        before = {row["name"]: (*tuple(row)[1:], row["name"] in had_copies) for row in known}
        return [
            image
            for image, stat in folder.files.items()
            if before.get(image)
            != (stat.st_mtime_ns, stat.st_size, folder.variant_of.get(image), image in has_copies)
        ]

    def _write(self, parts: Sequence[RunUpdate], waiting: deque[str], attempts: Counter[str]) -> bool:
        """Write what was read; folders that have changed since are appended to `waiting`."""
        changed, stale = False, set()
        with self.database.writing() as db:
            for part in parts:
                if part.name in stale:
                    continue
                if stamp_of(self._root / part.name) != part.stamp:
                    stale.add(part.name)
                    continue
                db.execute("SAVEPOINT part")
                try:
                    changed |= self._write_update(db, part)
                except (ValueError, TypeError, OverflowError, *NOT_STORABLE) as error:
                    # Values that SQLite rejects must not keep all other folders from being indexed.
                    log.warning("the metadata of folder %r could not be indexed: %s", part.name, error)
                    db.execute("ROLLBACK TO part")
                    changed |= self._write_update(db, part.without_metadata())
                db.execute("RELEASE part")
        attempts.update(stale)
        # A folder that changes all the time is left to the next scan.
        waiting.extend(name for name in stale if attempts[name] < ATTEMPTS and name not in waiting)
        return changed

    def _write_update(self, db: sqlite3.Connection, part: RunUpdate) -> bool:
        if part.stamp is None or part.folder is None:
            return self._remove_folder(db, part)
        names = {name for _, _, facts in part.images for name in facts.names}
        db.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", names)
        return self._write_images(db, part, part.folder, part.stamp)

    def _write_images(self, db: sqlite3.Connection, part: RunUpdate, folder: Folder, stamp: str) -> bool:
        db.execute(
            "INSERT INTO runs (name, created, stamp, images) VALUES (?, ?, '', 0) ON CONFLICT DO NOTHING",
            (part.name, folder.created),
        )
        (run,) = db.execute("SELECT id FROM runs WHERE name = ?", (part.name,)).fetchone()
        names = [name for _, name, _ in part.images]
        select = f"SELECT * FROM images WHERE run = ? AND name IN ({placeholders(names)})"
        before = {row["name"]: row for row in db.execute(select, (run, *names))}
        indexed = db.execute("SELECT id, name FROM images WHERE run = ?", (run,)) if part.last else ()
        gone = [row["id"] for row in indexed if row["name"] not in folder.files]
        replaced = [before[name]["id"] for _, name, _ in part.images if name in before]
        self._delete(db, [*gone, *replaced])
        changed = bool(gone)
        for position, name, facts in part.images:
            self._insert(db, run, folder, name, position, facts)
            old, stat = before.get(name), folder.files[name]
            changed |= old is None or (old["modified_ns"], old["size_bytes"]) != (
                stat.st_mtime_ns,
                stat.st_size,
            )
        db.execute(
            """UPDATE runs SET created = :created, head = :head,
                (images, pixels, size_bytes, prompt, model) = (
                    SELECT count(*), coalesce(max(pixels), 0), coalesce(max(size_bytes), 0),
                        coalesce(min(prompt), :last), coalesce(min(model), :last)
                    FROM images WHERE run = :run AND variant_of IS NULL)
                WHERE id = :run""",
            {
                "created": folder.created,
                "head": json.dumps(run_layout.prompt_head(folder)),
                "last": LAST,
                "run": run,
            },
        )
        if part.last:
            (old_stamp,) = db.execute("SELECT stamp FROM runs WHERE id = ?", (run,)).fetchone()
            edited = old_stamp not in ("", UNSETTLED) and old_stamp.split("-")[1] != stamp.split("-")[1]
            fresh = time.time_ns() - max(int(time_ns) for time_ns in stamp.split("-")) < SETTLED_NS
            db.execute("UPDATE runs SET stamp = ? WHERE id = ?", (UNSETTLED if fresh else stamp, run))
            changed |= edited
        return changed

    def _insert(
        self, db: sqlite3.Connection, run: int, folder: Folder, name: str, position: int, facts: ImageFacts
    ) -> None:
        stat, original = folder.files[name], folder.variant_of.get(name)
        has_own_time = run_layout.is_run_name(folder.id) or bool(folder.meta)
        created = folder.created + position / 1000 if has_own_time else stat.st_mtime
        favourite = self._is_favourite(run_layout.image_id(folder.id, name))
        id = _free_id(db, created)
        db.execute(
            f"INSERT INTO images VALUES ({placeholders(range(14))})",
            (
                id, run, name, stat.st_mtime_ns, stat.st_size, facts.width, facts.height, facts.seed,
                original, favourite, facts.problem, min((facts.width or 0) * (facts.height or 0), MAX_PIXELS),
                key(facts.texts.get("prompt", "")), key(facts.texts.get("model", "").partition(MARK)[0]),
            ),
        )  # fmt: skip
        if original is None:
            marks = [facts.texts.get("kind", "")]
            copies = [each for each, of in folder.variant_of.items() if of == name]
            marks += ["upscaled"] if any(map(is_upscaled, copies)) else []
            marks += ["favourite"] if favourite else []
            recorded = run_layout.is_recorded(folder.meta, name) or {}
            names = f"{folder.id} {name} {recorded.get('source') or ''}"
            texts = {**facts.texts, "name": names, "kind": " ".join(marks)}
            db.execute(
                f"INSERT INTO search (rowid, {', '.join(COLUMNS)}) VALUES (?{', ?' * len(COLUMNS)})",
                (id, *(words(texts.get(column, "")) for column in COLUMNS)),
            )

    def _remove_folder(self, db: sqlite3.Connection, part: RunUpdate) -> bool:
        """Remove the images of a folder that is gone or empty; of an empty one the stamp is kept."""
        row = db.execute("SELECT id, images FROM runs WHERE name = ?", (part.name,)).fetchone()
        if row is not None:
            ids = db.execute("SELECT id FROM images WHERE run = ?", (row["id"],)).fetchall()
            self._delete(db, [id for (id,) in ids])
            db.execute("DELETE FROM runs WHERE id = ?", (row["id"],))
        if part.stamp is not None:
            fresh = time.time_ns() - int(part.stamp.split("-")[0]) < SETTLED_NS
            db.execute(
                "INSERT INTO runs (name, created, stamp, images) VALUES (?, 0, ?, 0)",
                (part.name, UNSETTLED if fresh else part.stamp),
            )
        return bool(row and row["images"])

    def _delete(self, db: sqlite3.Connection, ids: Sequence[int]) -> None:
        db.executemany("DELETE FROM images WHERE id = ?", ((id,) for id in ids))
        db.executemany("DELETE FROM search WHERE rowid = ?", ((id,) for id in ids))


def _free_id(db: sqlite3.Connection, created: float) -> int:
    first = first_id(max(created, 0))
    while True:
        row = db.execute(
            "SELECT max(id) FROM images WHERE id >= ? AND id < ?", (first, first + PER_MILLISECOND)
        ).fetchone()
        if row[0] is None:
            return first
        if row[0] + 1 < first + PER_MILLISECOND:
            return int(row[0]) + 1
        first += PER_MILLISECOND
