"""Parsing of rows of the jobs table. A damaged column is reported, and the other columns remain readable."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import replace
from typing import Any, cast

from ..request import JobRequest
from ..storage.reading import parse_json, whole_text
from .job import AFTER_IMAGE, FINAL, Job, State
from .progress import JobProgress
from .stored_requests import read_request

STATES: tuple[State, ...] = ("queued", "running", "suspended", *FINAL)


class _Row:
    """Typed access to a row; `broken` collects the names of columns with a value of the wrong type."""

    def __init__(self, row: sqlite3.Row):
        self._row = row
        self.broken: list[str] = []

    def text(self, name: str) -> str | None:
        value = self._row[name]
        if value is None or isinstance(value, str):
            return None if value is None else whole_text(value)
        self.broken.append(name)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def number(self, name: str) -> float | None:
        value = self._row[name]
        if value is None or (isinstance(value, (int, float)) and math.isfinite(value)):
            return value
        self.broken.append(name)
        return None

    def integer(self, name: str) -> int:
        value = self._row[name]
        if isinstance(value, int):
            return value
        self.broken.append(name)
        return 0

    def texts(self, name: str) -> tuple[str, ...]:
        found, is_valid = read_texts(self._row[name])
        self.broken += [] if is_valid else [name]
        return found

    def table(self, name: str) -> dict[str, Any] | None:
        value = self._row[name]
        if not value:
            return None
        try:
            found = parse_json(value)
        except (ValueError, TypeError):
            found = None
        if isinstance(found, dict):
            return found
        self.broken.append(name)
        return None


def request_of(row: sqlite3.Row) -> tuple[JobRequest, str | None]:
    """The row's request, and an error message if it cannot be run. Never raises."""
    read = _Row(row)
    return read_request(read.text("kind") or "", read.text("request") or "")


def read_texts(value: object) -> tuple[tuple[str, ...], bool]:
    """The texts of a JSON list, and whether the value was a list of texts throughout."""
    try:
        found = parse_json(value) if isinstance(value, (str, bytes)) else None
    except ValueError:
        found = None
    if not isinstance(found, list):
        return (), False
    texts = tuple(whole_text(each) for each in found if isinstance(each, str))
    return texts, list(texts) == found


def job_of(row: sqlite3.Row, position: int | None, live: JobProgress | None) -> Job:
    """The job of a row, combined with its progress in memory while it runs. Never raises."""
    read = _Row(row)
    kind = read.text("kind") or "generate"
    request, unreadable = request_of(row)
    state = read.text("state")
    if state not in STATES:
        read.broken.append("state")
        state = "failed"
    images, warnings = read.texts("images"), read.texts("warnings")
    created, started, finished = read.number("created"), read.number("started"), read.number("finished")
    cancel = read.integer("cancel_requested")
    job = Job(
        id=read.text("id") or "",
        kind=kind,
        state=cast(State, state),
        request=request,
        owner=read.text("owner"),
        position=position if state == "queued" else None,
        created=created or started or finished or 0.0,
        started=started,
        finished=finished,
        step=read.integer("step"),
        total=read.integer("total"),
        image_index=len(images),
        status=read.text("status") or "",
        run=read.text("run"),
        images=images,
        warnings=warnings,
        error=read.text("error"),
        preview=0,
        cancel_requested=bool(cancel),
        cancel_after_image=cancel == AFTER_IMAGE,
        retry_of=read.text("retry_of"),
        seconds_per_step=read.number("seconds_per_step"),
        unreadable=unreadable,
        suspended=read.number("suspended"),
        continued=read.number("continued"),
        earlier_seconds=read.number("earlier_seconds"),
        result=read.table("result"),
    )
    if read.broken:
        damage = f"Part of this job's record is damaged and could not be read ({', '.join(read.broken)})."
        job = replace(job, warnings=(*warnings, damage))
    if state != "running" or live is None:
        return job
    return replace(
        job,
        warnings=(*job.warnings, *filter(None, [live.suspend_problem])),
        suspending=live.suspend.is_set(),
        step=live.step,
        total=live.total,
        image_index=live.image_index,
        pictures=live.pictures,
        pass_name=live.pass_name,
        status=live.status,
        preview=live.preview,
        seconds_per_step=live.seconds_per_step(),
        seconds_left=live.seconds_left(max(1, request.images_asked)),
    )
