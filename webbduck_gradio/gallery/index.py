"""The gallery's index: SQLite with full-text search, rebuilt from the folders whenever that is needed.

Nothing lives only here. A picture's row number grows with its time, so that "newest first" is the order of
the table and of the full-text index alike, and a page of results needs no sorting.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import StorageError
from . import about, runs
from .runs import Folder, ImageInfo, RunInfo
from .search import COLUMNS, Query, words

log = logging.getLogger(__name__)

SCHEMA_VERSION = 2
PER_MILLISECOND = 1024
"""Row numbers per millisecond; when they are taken, the next millisecond's are used."""
MAX_SHOWN = 200
"""Pictures of one folder in a `RunInfo`; only folders of other programs hold more."""
PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
SETTLED_NS = 2 * 10**9
UNSETTLED = "0-0"
"""Stamp of a folder that changed just now: some file systems' clocks are too coarse to tell two changes."""
BATCH = 64
"""Folders per transaction while the index is built, so that pages can be read in between."""

SCHEMA = (
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created REAL NOT NULL, stamp TEXT NOT NULL,
        images INTEGER NOT NULL)""",
    "CREATE INDEX runs_newest ON runs (created DESC, id DESC) WHERE images > 0",
    """CREATE TABLE images (
        id INTEGER PRIMARY KEY, run INTEGER NOT NULL, name TEXT NOT NULL, modified_ns INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL, width INTEGER, height INTEGER, seed INTEGER, variant_of TEXT,
        favourite INTEGER NOT NULL DEFAULT 0, problem TEXT, UNIQUE (run, name))""",
    "CREATE INDEX variants ON images (run) WHERE variant_of IS NOT NULL",
    f"""CREATE VIRTUAL TABLE search USING fts5 (
        {", ".join(COLUMNS)}, tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co So'")""",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


class Index:
    """Safe to use from several threads; writing takes turns, reading does not wait for it."""

    def __init__(self, root: Path, database: Path, is_favourite: Callable[[str], bool] = lambda _: False):
        self._root = root
        self._database = database
        self._is_favourite = is_favourite
        self._write = threading.RLock()
        self._local = threading.local()
        self._generation = 0
        self.when_lost: Callable[[], None] = lambda: None
        """Called when a damaged index was thrown away, so that somebody reads the folders again."""
        self._db: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []

    # Reading

    def list_runs(self, query: Query, start: int, limit: int) -> list[RunInfo]:
        """Folders with a picture that matches, newest first."""
        with self._reading() as db:
            if query.empty:
                rows = db.execute(
                    "SELECT id FROM runs WHERE images > 0 ORDER BY created DESC, id DESC LIMIT ? OFFSET ?",
                    (limit, start),
                )
                return self._run_infos(db, [run for (run,) in rows], None)
            found: dict[int, list[int]] = {}
            for image, run in db.execute(*_select("images.id, images.run", query)):
                if run not in found and len(found) == start + limit:
                    break
                found.setdefault(run, []).append(image)
            page = list(found)[start:]
            return self._run_infos(db, page, [id for run in page for id in found[run][:MAX_SHOWN]])

    def list_images(
        self, query: Query, start: int, limit: int, oldest_first: bool = False
    ) -> list[ImageInfo]:
        """Pictures that match, newest first; upscaled copies are with their originals."""
        with self._reading() as db:
            sql, values = _select("images.id", query, oldest_first)
            ids = [row[0] for row in db.execute(f"{sql} LIMIT ? OFFSET ?", (*values, limit, start))]
            infos = self._image_infos(db, self._rows(db, ids))
            return [infos[id] for id in ids]

    def count(self, query: Query) -> int:
        """How many pictures match."""
        with self._reading() as db:
            return int(db.execute(*_select("count(*)", query, None)).fetchone()[0])

    def count_runs(self) -> int:
        """How many folders hold a picture."""
        with self._reading() as db:
            return int(db.execute("SELECT count(*) FROM runs WHERE images > 0").fetchone()[0])

    def stamps(self) -> dict[str, str]:
        """The state of each folder when it was read."""
        with self._reading() as db:
            return dict(db.execute("SELECT name, stamp FROM runs").fetchall())

    # Keeping in step

    def refresh(self, names: Iterable[str]) -> bool:
        """Read these folders again; whether something had changed. Never raises for what is on disk."""
        changed = False
        with self._writing() as db:
            for name in names:
                changed |= self._refresh(db, name)
        return changed

    def reconcile(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Compare all folders with the index and read those that differ; whether something had changed.

        Newest names first, in small transactions. `stop` is asked between them.
        """
        known = self.stamps()
        stale = []
        for name, path in _folders(self._root):
            try:
                if known.pop(name, None) != runs.stamp(path):
                    stale.append(name)
            except OSError:
                known[name] = ""  # it went away while we looked
        stale = list(known) + sorted(stale, key=runs.name_order, reverse=True)
        changed = False
        for first in range(0, len(stale), BATCH):
            if stop():
                break
            changed |= self.refresh(stale[first : first + BATCH])
        return changed

    def set_favourite(self, image_id: str, favourite: bool) -> None:
        """Note what the list of favourites says of a picture."""
        run, _, name = image_id.rpartition("/")
        with self._writing() as db:
            row = db.execute(
                "SELECT images.id FROM images JOIN runs ON runs.id = run "
                "WHERE runs.name = ? AND images.name = ?",
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
        with self._write:
            if self._db is not None:
                for db in (self._db, *self._readers):
                    db.close()
                self._db = None
                self._readers.clear()

    # Inside

    def _refresh(self, db: sqlite3.Connection, name: str) -> bool:
        try:
            stamp = runs.stamp(self._root / name)
            folder = runs.read_folder(self._root, name)
        except OSError:
            return self._forget(db, name)
        row = db.execute("SELECT id, stamp, created FROM runs WHERE name = ?", (name,)).fetchone()
        created = folder.created if folder else 0.0
        if row is None:
            cursor = db.execute(
                "INSERT INTO runs (name, created, stamp, images) VALUES (?, ?, ?, 0)", (name, created, stamp)
            )
            assert cursor.lastrowid is not None
            run, all_again, edited = cursor.lastrowid, True, False
        else:
            run = row["id"]
            # A record that was written again may say something else about every picture.
            before = row["stamp"].split("-")[1]
            edited = before not in (UNSETTLED.split("-")[1], stamp.split("-")[1])
            all_again = edited or row["stamp"] == UNSETTLED or row["created"] != created
        changed = self._refresh_images(db, run, folder, all_again) or edited
        if time.time_ns() - int(stamp.split("-")[0]) < SETTLED_NS:
            stamp = UNSETTLED
        count = len(folder.files) - len(folder.variant_of) if folder else 0
        db.execute(
            "UPDATE runs SET created = ?, stamp = ?, images = ? WHERE id = ?", (created, stamp, count, run)
        )
        return changed

    def _refresh_images(
        self, db: sqlite3.Connection, run: int, folder: Folder | None, all_again: bool
    ) -> bool:
        known = {
            row["name"]: row
            for row in db.execute(
                "SELECT id, name, modified_ns, size_bytes, variant_of FROM images WHERE run = ?", (run,)
            )
        }
        if folder is None:
            self._delete(db, [row["id"] for row in known.values()])
            return bool(known)
        same = set()
        for name, stat in folder.files.items():
            row = known.get(name)
            now = (stat.st_mtime_ns, stat.st_size, folder.variant_of.get(name))
            if row and (row["modified_ns"], row["size_bytes"], row["variant_of"]) == now:
                same.add(name)
        keep = set() if all_again else same
        self._delete(db, [row["id"] for name, row in known.items() if name not in keep])
        for position, name in enumerate(folder.files):
            if name not in keep:
                self._insert(db, run, folder, name, position)
        return len(same) < len(known) or len(same) < len(folder.files)

    def _insert(self, db: sqlite3.Connection, run: int, folder: Folder, name: str, position: int) -> None:
        stat, original = folder.files[name], folder.variant_of.get(name)
        said = about.read(self._root / folder.id / name, folder.meta, name)
        own = runs.is_run_name(folder.id) or bool(folder.meta)
        created = folder.created + position / 1000 if own else stat.st_mtime
        favourite = self._is_favourite(runs.image_id(folder.id, name))
        id = _free_id(db, created)
        db.execute(
            "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                id, run, name, stat.st_mtime_ns, stat.st_size, said.width, said.height, said.seed,
                original, favourite, said.problem,
            ),
        )  # fmt: skip
        if original is None:
            texts = dict(said.texts, name=f"{folder.id} {name}")
            if folder.variant_of and name in folder.variant_of.values():
                texts["kind"] += " upscaled"
            if favourite:
                texts["kind"] += " favourite"
            db.execute(
                f"INSERT INTO search (rowid, {', '.join(COLUMNS)}) VALUES (?{', ?' * len(COLUMNS)})",
                (id, *(words(texts.get(column, "")) for column in COLUMNS)),
            )

    def _forget(self, db: sqlite3.Connection, name: str) -> bool:
        row = db.execute("SELECT id, images FROM runs WHERE name = ?", (name,)).fetchone()
        if row is None:
            return False
        self._delete(
            db, [image for (image,) in db.execute("SELECT id FROM images WHERE run = ?", (row["id"],))]
        )
        db.execute("DELETE FROM runs WHERE id = ?", (row["id"],))
        return bool(row["images"])

    def _delete(self, db: sqlite3.Connection, ids: Sequence[int]) -> None:
        db.executemany("DELETE FROM images WHERE id = ?", ((id,) for id in ids))
        db.executemany("DELETE FROM search WHERE rowid = ?", ((id,) for id in ids))

    def _run_infos(
        self, db: sqlite3.Connection, page: Sequence[int], ids: Sequence[int] | None
    ) -> list[RunInfo]:
        """These folders, with these pictures, or their newest ones."""
        about = {
            row["id"]: row
            for row in db.execute(
                f"SELECT id, name, created, images FROM runs WHERE id IN ({_marks(page)})", page
            )
        }
        if ids is None:
            small = [run for run in page if about[run]["images"] <= MAX_SHOWN]
            select = "SELECT * FROM images WHERE variant_of IS NULL AND run"
            rows = db.execute(f"{select} IN ({_marks(small)})", small).fetchall()
            for run in set(page) - set(small):
                rows += db.execute(f"{select} = ? ORDER BY id DESC LIMIT ?", (run, MAX_SHOWN)).fetchall()
        else:
            rows = self._rows(db, ids)
        infos = self._image_infos(db, rows)
        images: dict[int, list[ImageInfo]] = {}
        for row in sorted(rows, key=lambda row: runs.name_order(row["name"])):
            images.setdefault(row["run"], []).append(infos[row["id"]])
        answer = []
        for name, created, total, shown in (
            (about[run]["name"], about[run]["created"], about[run]["images"], images.get(run, ()))
            for run in page
        ):
            meta, problem = runs.read_meta(self._root / name) if name else ({}, None)
            answer.append(RunInfo(name, created, tuple(shown), meta, problem, total))
        return answer

    def _rows(self, db: sqlite3.Connection, ids: Sequence[int]) -> list[sqlite3.Row]:
        return db.execute(f"SELECT * FROM images WHERE id IN ({_marks(ids)})", ids).fetchall()

    def _image_infos(self, db: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> dict[int, ImageInfo]:
        """By row number."""
        of = sorted({row["run"] for row in rows})
        names = dict(db.execute(f"SELECT id, name FROM runs WHERE id IN ({_marks(of)})", of).fetchall())
        variants: dict[tuple[int, str], list[str]] = {}
        select = "SELECT run, name, variant_of FROM images WHERE variant_of IS NOT NULL AND run"
        for run, name, original in db.execute(f"{select} IN ({_marks(of)})", of):
            variants.setdefault((run, original), []).append(name)
        return {
            row["id"]: ImageInfo(
                id=runs.image_id(names[row["run"]], row["name"]),
                seed=row["seed"],
                size_bytes=row["size_bytes"],
                modified=row["modified_ns"] / 1e9,
                variants=tuple(
                    runs.image_id(names[row["run"]], name)
                    for name in sorted(variants.get((row["run"], row["name"]), ()), key=runs.name_order)
                ),
                width=row["width"],
                height=row["height"],
                favourite=bool(row["favourite"]),
                problem=row["problem"],
            )
            for row in rows
        }

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._write:
            db = self._open()
            try:
                with db:
                    db.execute("BEGIN IMMEDIATE")
                    yield db
            except sqlite3.DatabaseError as error:
                self._recover(error)
                raise StorageError(f"The gallery's index could not be written ({error}).") from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if self._db is None:
            with self._write:
                self._open()
        if getattr(self._local, "generation", None) != self._generation:
            self._local.db = self._connect()
            self._local.generation = self._generation
            self._readers.append(self._local.db)
        try:
            self._local.db.execute("BEGIN")  # all that the block reads is of one moment
            try:
                yield self._local.db
            finally:
                self._local.db.rollback()
        except sqlite3.DatabaseError as error:
            self._recover(error)
            raise StorageError(f"The gallery's index could not be read ({error}); try again.") from error

    def _recover(self, error: sqlite3.DatabaseError) -> None:
        """A damaged index is thrown away; the next reconciling builds it again."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:
            return
        log.warning("the gallery's index is damaged (%s); it is built again from the folders", error)
        with self._write:
            self.close()
            self._remove()
        self.when_lost()

    def _open(self) -> sqlite3.Connection:
        """The writing connection, opened on first use: a second studio is refused before it writes."""
        if self._db is not None:
            return self._db
        for _ in range(2):
            try:
                db = self._connect()
                db.execute("BEGIN IMMEDIATE")
                version = db.execute("PRAGMA user_version").fetchone()[0]
                for statement in SCHEMA if version == 0 else ():
                    db.execute(statement)
                db.execute("COMMIT")
                if version in (0, SCHEMA_VERSION):
                    self._db = db
                    self._generation += 1
                    return db
                db.close()
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) in PASSING:
                    raise StorageError(f"The gallery's index cannot be opened ({error}).") from error
                log.warning("the gallery's index is damaged (%s); it is built again from the folders", error)
            self._remove()
        raise StorageError(f"The gallery's index {self._database} cannot be created; remove the file.")

    def _connect(self) -> sqlite3.Connection:
        # Autocommit, with explicit transactions; the writing connection is guarded by `_write`.
        db = sqlite3.connect(self._database, timeout=30, isolation_level=None, check_same_thread=False)
        db.row_factory = sqlite3.Row
        if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        return db

    def _remove(self) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{self._database}{ending}").unlink(missing_ok=True)


def _select(what: str, query: Query, oldest_first: bool | None = False) -> tuple[str, list[Any]]:
    """A SELECT over the pictures that match; `oldest_first` None: in no order."""
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
        values.append(_first_id(query.since))
    if query.until is not None:
        where.append(f"{key} < ?")
        values.append(_first_id(query.until))
    if oldest_first is None and query.match:
        table = "search"  # counting needs the full-text index alone
    order = "" if oldest_first is None else f" ORDER BY {key} {'ASC' if oldest_first else 'DESC'}"
    return f"SELECT {what} FROM {table} WHERE {' AND '.join(where)}{order}", values


def _marks(values: Sequence[int]) -> str:
    return ", ".join("?" * len(values))


def _first_id(seconds: float) -> int:
    return round(seconds * 1000) * PER_MILLISECOND


def _free_id(db: sqlite3.Connection, created: float) -> int:
    first = _first_id(max(created, 0))
    while True:
        row = db.execute(
            "SELECT max(id) FROM images WHERE id >= ? AND id < ?", (first, first + PER_MILLISECOND)
        ).fetchone()
        if row[0] is None:
            return first
        if row[0] + 1 < first + PER_MILLISECOND:
            return int(row[0]) + 1
        first += PER_MILLISECOND


def _folders(root: Path) -> Iterator[tuple[str, Path]]:
    """All folders below `root` and itself, by their ids; hidden ones and links left out."""
    waiting = [("", root)]
    while waiting:
        name, path = waiting.pop()
        yield name, path
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    below = runs.image_id(name, entry.name)
                    if runs.is_image_id(f"{below}/0.png") and entry.is_dir(follow_symlinks=False):
                        waiting.append((below, Path(entry.path)))
        except OSError as error:
            log.info("could not list %s: %s", path, error)
