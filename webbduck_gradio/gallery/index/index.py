"""The gallery's index: SQLite with full-text search, rebuilt from the folders whenever that is needed.

Nothing lives only here. A picture's row number grows with its time, so that "newest first" is the order of
the table and of the full-text index alike, and a page of results needs no sorting.

Folders are read outside of transactions, which stay short: who saves a picture never waits while thousands of
another program's are read. A folder that changed in between is read again.
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
from . import queries
from .database import Database
from .folders import RunUpdate, about_picture, all_folders, file_state, stamp_of
from .image_facts import ImageFacts
from .queries import NEWEST, PER_MILLISECOND, first_id, select
from .rows import MAX_SHOWN, image_infos, placeholders, rows_of, run_infos
from .search import COLUMNS, MARK, Query, words
from .sort import LAST, Order, key

log = logging.getLogger(__name__)

SETTLED_NS = 2 * 10**9
UNSETTLED = "0-0"
"""Stamp of a folder that changed just now: some file systems' clocks are too coarse to tell two changes."""
BATCH = 256
"""Pictures per transaction, so that memory stays small and others may write in between."""
ATTEMPTS = 5
NOT_STORABLE = (sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError)
MAX_PIXELS = 2**62
"""Some files claim sizes that SQLite cannot hold."""


class Index:
    """Safe to use from several threads."""

    def __init__(self, root: Path, database: Path, is_favourite: Callable[[str], bool] = lambda _: False):
        self._root = root
        self._is_favourite = is_favourite
        self.database = Database(database)
        self._compared = False

    # Reading

    def list_runs(
        self, query: Query, start: int, limit: int, order: Order = NEWEST, with_meta: bool = True
    ) -> list[RunInfo]:
        """Folders with a picture that matches. `with_meta`: their meta.json is read as well."""
        with self.database.reading() as db:
            page = queries.page_of_runs(db, query, order, start, limit)
            ids = [id for images in page.values() for id in (images or ())[:MAX_SHOWN]]
            return run_infos(db, self._root, list(page), None if query.empty else ids, with_meta)

    def list_images(self, query: Query, start: int, limit: int, order: Order = NEWEST) -> list[ImageInfo]:
        """Pictures that match; upscaled copies are with their originals."""
        with self.database.reading() as db:
            sql, values = select("images.id", query, order)
            ids = [row[0] for row in db.execute(f"{sql} LIMIT ? OFFSET ?", (*values, limit, start))]
            infos = image_infos(db, rows_of(db, ids))
            return [infos[id] for id in ids]

    def one_run(self, name: str) -> RunInfo | None:
        """The folder of this name; None where it holds no picture."""
        with self.database.reading() as db:
            row = db.execute("SELECT id FROM runs WHERE name = ? AND images > 0", (name,)).fetchone()
            return run_infos(db, self._root, [row["id"]], None)[0] if row else None

    def count(self, query: Query) -> int:
        """How many pictures match."""
        with self.database.reading() as db:
            return int(db.execute(*select("count(*)", query, None)).fetchone()[0])

    def layout(self, query: Query, order: Order = NEWEST) -> list[int]:
        """How many pictures each folder of `list_runs` shows, in its order."""
        with self.database.reading() as db:
            return [min(count, MAX_SHOWN) for count in queries.counts(db, query, order)]

    def names(self) -> dict[str, list[tuple[str, int]]]:
        """Checkpoints, LoRAs and samplers that pictures were made with: name and number of pictures."""
        with self.database.reading() as db:
            return queries.names(db)

    def count_runs(self) -> int:
        """How many folders hold a picture."""
        with self.database.reading() as db:
            return int(db.execute("SELECT count(*) FROM runs WHERE images > 0").fetchone()[0])

    def stamps(self, below: str = "") -> dict[str, str]:
        """The state of each folder when it was read; of `below` and those in it."""
        inside = (
            " WHERE name = :it OR name >= :it || '/' AND name < :it || '0'" if below else ""
        )  # 0 follows /
        with self.database.reading() as db:
            return dict(db.execute(f"SELECT name, stamp FROM runs{inside}", {"it": below}).fetchall())

    # Keeping in step

    def refresh(self, names: Iterable[str]) -> bool:
        """Read these folders again; whether something had changed. Never raises for what is on disk."""
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
        """Compare all folders with the index and read those that differ; whether something had changed.

        Newest names first. `stop` is asked now and then, `progress` called when more pictures can be listed.
        `below` restricts it to one folder and those in it. The first look at all also compares the files' own
        times and sizes: one that was written over in place, while nobody watched, left its folder as it was.
        """
        each_file = not self._compared
        known = self.stamps(below)
        stale = []
        for name, path in all_folders(self._root, below):
            try:
                if known.pop(name, None) != run_layout.stamp(path) or (
                    each_file and self._has_other_files(name)
                ):
                    stale.append(name)
            except OSError:
                known[name] = ""  # it went away while we looked
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

    def _has_other_files(self, name: str) -> bool:
        """Whether a picture that the index knows is of another time or size by now."""
        with self.database.reading() as db:
            query = """SELECT images.name, modified_ns, images.size_bytes FROM images
                JOIN runs ON runs.id = run WHERE runs.name = ?"""
            known = db.execute(query, (name,)).fetchall()
        return any(file_state(self._root / name / row[0]) != tuple(row)[1:] for row in known)

    def set_favourites(self, image_ids: Iterable[str], favourite: bool) -> None:
        """Note what the list of favourites says of these pictures."""
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
        """Close all connections; who still reads gets an error."""
        self.database.close()

    # Inside

    def _read(self, name: str) -> Iterator[RunUpdate]:
        """Compare a folder with the index and read what is new in it, in parts."""
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
        order = {image: place for place, image in enumerate(folder.files)} if folder else {}
        for first in range(0, max(len(todo), 1), BATCH):
            images = [
                (order[image], image, about_picture(folder, path, image))
                for image in todo[first : first + BATCH]
                if folder
            ]
            yield RunUpdate(name, stamp, folder, images, first + BATCH >= len(todo))

    def _new_names(self, name: str, stamp: str, folder: Folder) -> list[str]:
        """Pictures of the folder that the index does not know as they are now."""
        with self.database.reading() as db:
            run = db.execute("SELECT id, stamp, created FROM runs WHERE name = ?", (name,)).fetchone()
            if run is None:
                return list(folder.files)
            known = db.execute(
                "SELECT name, modified_ns, size_bytes, variant_of FROM images WHERE run = ?", (run["id"],)
            ).fetchall()
        # A record that was written again may say something else about every picture.
        # "": one whose parts have not all been written yet.
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
        """Write what was read; folders that changed since are put back to `waiting`."""
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
                    changed |= self._write_one(db, part)
                except (ValueError, TypeError, OverflowError, *NOT_STORABLE) as error:
                    # Text or numbers that SQLite does not take must not keep all other folders out.
                    log.warning("What the folder %r says could not be indexed: %s", part.name, error)
                    db.execute("ROLLBACK TO part")
                    changed |= self._write_one(db, part.without_words())
                db.execute("RELEASE part")
        attempts.update(stale)
        # One that changes all the time is left to the next look.
        waiting.extend(name for name in stale if attempts[name] < ATTEMPTS and name not in waiting)
        return changed

    def _write_one(self, db: sqlite3.Connection, part: RunUpdate) -> bool:
        if part.stamp is None or part.folder is None:
            return self._forget(db, part)
        names = {name for _, _, said in part.images for name in said.names}
        db.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", names)
        return self._write_part(db, part, part.folder, part.stamp)

    def _write_part(self, db: sqlite3.Connection, part: RunUpdate, folder: Folder, stamp: str) -> bool:
        db.execute(
            "INSERT INTO runs (name, created, stamp, images) VALUES (?, ?, '', 0) ON CONFLICT DO NOTHING",
            (part.name, folder.created),
        )
        (run,) = db.execute("SELECT id FROM runs WHERE name = ?", (part.name,)).fetchone()
        names = [name for _, name, _ in part.images]
        select = f"SELECT * FROM images WHERE run = ? AND name IN ({placeholders(names)})"
        before = {row["name"]: row for row in db.execute(select, (run, *names))}
        everything = db.execute("SELECT id, name FROM images WHERE run = ?", (run,)) if part.last else ()
        gone = [row["id"] for row in everything if row["name"] not in folder.files]
        again = [before[name]["id"] for _, name, _ in part.images if name in before]
        self._delete(db, [*gone, *again])
        changed = bool(gone)
        for place, name, said in part.images:
            self._insert(db, run, folder, name, place, said)
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
        self, db: sqlite3.Connection, run: int, folder: Folder, name: str, place: int, said: ImageFacts
    ) -> None:
        stat, original = folder.files[name], folder.variant_of.get(name)
        own = run_layout.is_run_name(folder.id) or bool(folder.meta)
        created = folder.created + place / 1000 if own else stat.st_mtime
        favourite = self._is_favourite(run_layout.image_id(folder.id, name))
        id = _free_id(db, created)
        db.execute(
            f"INSERT INTO images VALUES ({placeholders(range(14))})",
            (
                id, run, name, stat.st_mtime_ns, stat.st_size, said.width, said.height, said.seed,
                original, favourite, said.problem, min((said.width or 0) * (said.height or 0), MAX_PIXELS),
                key(said.texts.get("prompt", "")), key(said.texts.get("model", "").partition(MARK)[0]),
            ),
        )  # fmt: skip
        if original is None:
            marks = [said.texts.get("kind", "")]
            marks += ["upscaled"] if name in folder.variant_of.values() else []
            marks += ["favourite"] if favourite else []
            texts = {**said.texts, "name": f"{folder.id} {name}", "kind": " ".join(marks)}
            db.execute(
                f"INSERT INTO search (rowid, {', '.join(COLUMNS)}) VALUES (?{', ?' * len(COLUMNS)})",
                (id, *(words(texts.get(column, "")) for column in COLUMNS)),
            )

    def _forget(self, db: sqlite3.Connection, part: RunUpdate) -> bool:
        """Drop the pictures of a folder that is gone or empty; an empty one's state is kept."""
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
