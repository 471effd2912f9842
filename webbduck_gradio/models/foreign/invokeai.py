"""Folders of InvokeAI: what its database says of each model, or else models/BASE/TYPE as before it had one.

Files are called after keys or lie elsewhere, so that only the database knows their names. It is opened
read-only, in a way that makes no file beside it.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..probe.sidecars import notes_of_invokeai
from .folders import Kind
from .reading import Reading

KINDS: dict[str, Kind] = {
    "main": "checkpoint",
    "lora": "lora",
    "lycoris": "lora",
    "vae": "vae",
    "embedding": "embedding",
    "controlnet": "controlnet",
    "spandrel_image_to_image": "upscale",
}
"""By the type of a model, in the database and below models/BASE/."""
MAX_MODELS = 20_000
MAX_RECORD = 1_000_000
"""Largest record that is read, in characters."""
MAX_STEPS = 3_000
"""Thousands of steps of SQLite's machine after which a query is given up."""


@dataclass
class _Group:
    """Models of one kind in one folder."""

    kind: Kind
    only: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)


def recognised(look: Reading) -> str | None:
    return "InvokeAI" if look.has("invokeai.yaml") or look.has("databases/invokeai.db") else None


def read(look: Reading) -> None:
    source = look.root / "invokeai.yaml"
    settings = _flat(look.yaml(source))
    models = look.configured(settings.get("models_dir") or "models", look.root, source)
    databases = look.configured(settings.get("db_dir") or "databases", look.root, source)
    if models is None:
        return
    database = databases / "invokeai.db" if databases else None
    records = _records(look, database) if database else None
    if database is None or records is None:
        _read_older(look, models)
        return
    for folder, group in _grouped(look, models, database, records):
        # The rest need not be searched: models used in place may lie where a person keeps everything.
        parts = {each.partition("/")[0] for each in group.only}
        look.add(
            group.kind,
            folder,
            skip=frozenset(look.names(folder)) - parts,
            only=frozenset(group.only),
            names=group.names,
            notes=group.notes,
            pictures=group.pictures,
        )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings; those of version 3 lie in InvokeAI: Paths:."""
    older = settings.get("InvokeAI")
    paths = older.get("Paths") if isinstance(older, dict) else None
    return {**(paths if isinstance(paths, dict) else {}), **settings}


def _read_older(look: Reading, models: Path) -> None:
    for base in look.names(models):
        if look.is_folder(models / base):
            look.add_below(models / base, KINDS.items())


def _grouped(
    look: Reading, models: Path, database: Path, records: list[tuple[str, dict[str, Any]]]
) -> Iterator[tuple[Path, _Group]]:
    """(folder, its models of one kind): those below models/, and those used in place by their folders."""
    groups: dict[tuple[Path, Kind], _Group] = {}
    taken: dict[Kind, set[str]] = {}
    pictures = set(look.names(models / "model_images"))
    for key, record in records:
        kind, text = KINDS.get(str(record.get("type"))), record.get("path")
        path = look.configured(text, models, database, expand=False) if kind else None
        if kind is None or path is None or path == models:
            continue
        if not look.is_file(path) and not look.is_folder(path):
            name = str(record.get("name") or path.name)[:100]
            look.problem(f"The file of {name} is not at the place that InvokeAI notes.")
            continue
        folder = models if path.is_relative_to(models) else path.parent
        group = groups.setdefault((folder, kind), _Group(kind))
        below = path.relative_to(folder).as_posix()
        group.only.add(below)
        group.names[below] = _name(record, key, taken.setdefault(kind, set()))
        if notes := notes_of_invokeai(record):
            group.notes[below] = notes
        if f"{key}.webp" in pictures:
            group.pictures[below] = models / "model_images" / f"{key}.webp"
    for (folder, _), group in groups.items():
        yield folder, group


def _name(record: Mapping[str, Any], key: str, taken: set[str]) -> str:
    """The model's name, made fit for a path and told apart from models of other bases."""
    wanted = re.sub(r"[\x00-\x1f/\\]+", "-", str(record.get("name") or key)).strip(" .")[:200] or key
    for name in (wanted, f"{wanted} ({record.get('base')})", f"{wanted} ({key[:8]})", key):
        if name.casefold() not in taken:
            break
    taken.add(name.casefold())
    return name


def _records(look: Reading, database: Path) -> list[tuple[str, dict[str, Any]]] | None:
    """(key, record) of each model; None without a database that can be read, which is a problem if there is
    one."""
    if not look.is_file(database):
        return None
    look.note(database)
    look.note(_beside(database, "-wal"))
    rows = _rows(database)
    if rows is None:
        look.problem(f"{look.shown(database)} cannot be read; names and notes of its models are missing.")
        return None
    records = []
    for key, config in rows:
        try:
            record = json.loads(config)
        except (TypeError, ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append((str(key), record))
    return records


def _rows(database: Path) -> list[tuple[Any, Any]] | None:
    """(key, record as JSON) of each model, without writing anything.

    While InvokeAI runs, what it wrote last is in a log beside the database, which SQLite reads through an
    index; `readonly_shm` keeps it from writing into that. Without a log, or where this fails, the file alone
    is read, as one that does not change: SQLite would make an empty log otherwise.
    """
    ways = ["mode=ro&immutable=1"]
    with contextlib.suppress(OSError):
        if _beside(database, "-wal").stat().st_size:
            ways.insert(0, "mode=ro&readonly_shm=1")
    for way in ways:
        try:
            uri = f"{database.absolute().as_uri()}?{way}"
            with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as connection:
                steps = iter(range(MAX_STEPS))
                connection.set_progress_handler(partial(_is_over, steps), 1000)
                return connection.execute(
                    "SELECT id, config FROM models WHERE length(config) < ? LIMIT ?", (MAX_RECORD, MAX_MODELS)
                ).fetchall()
        except (sqlite3.Error, OSError):
            continue
    return None


def _is_over(steps: Iterator[int]) -> bool:
    return next(steps, None) is None


def _beside(database: Path, ending: str) -> Path:
    return database.with_name(database.name + ending)
