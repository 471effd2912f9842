"""A clock that is moved back and forward under a running studio."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import STARTER, free_port
from test_kill import Studio

FAKETIME = [
    Path(folder) / "faketime" / name
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib")
    for name in ("libfaketimeMT.so.1", "libfaketime.so.1")
]
DAY = 86_400
JUMPS = (0, -DAY, 400 * DAY, -7300 * DAY, 0, 3600, -3600)

pytestmark = pytest.mark.slow


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Moves the clock of each studio that is started from now on by some seconds, also while it runs."""
    library = next((path for path in FAKETIME if path.is_file()), None)
    if library is None:
        pytest.skip("libfaketime is not installed")
    offset = tmp_path / "clock"

    def move(seconds: int) -> None:
        offset.with_suffix(".new").write_text(f"{seconds:+d}\n")
        os.replace(offset.with_suffix(".new"), offset)

    move(0)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(offset))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    # Waiting and measuring go by the clock that nobody sets.
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    return move


@pytest.fixture
def begin(tmp_path: Path, starter_checkpoints: Path) -> Iterator[Callable[[], Studio]]:
    """Starts a studio on the test's folder, whose core paints at once."""
    begun: list[Studio] = []

    def beginning() -> Studio:
        begun.append(Studio(tmp_path, starter_checkpoints, free_port(), tmp_path / "log.txt", "painter"))
        return begun[-1]

    yield beginning
    for studio in begun:
        if studio.process.poll() is None:
            studio.stop()


def paint(studio: Studio) -> dict[str, Any]:
    """A job that has ended."""
    asked = {
        "prompt": "a duck",
        "base_model": STARTER,
        "width": 64,
        "height": 64,
        "steps": 2,
        "num_images": 2,
    }
    job = (studio.do(do="submit", asked=asked) or {})["answer"]
    while True:
        seen = (studio.do(do="job", id=job) or {})["answer"]
        if seen["state"] not in ("queued", "running"):
            return seen
        time.sleep(0.05)


def test_jobs_go_on_whatever_the_clock_says(tmp_path: Path, moved, begin) -> None:
    studio = begin()
    images: list[str] = []
    for seconds in JUMPS:
        moved(seconds)
        ended = paint(studio)
        assert (ended["state"], len(ended["images"])) == ("completed", 2), seconds
        assert "-" not in ended["status"], "no time is negative"
        images += ended["images"]
        listed = (studio.do(do="pictures") or {})["answer"]
        assert sorted(listed) == sorted(images), seconds
    assert len(set(images)) == 2 * len(JUMPS)
    years = {image[:4] for image in images}
    assert len(years) >= 3, "the clock was moved indeed"
    studio.stop()
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def test_a_full_history_and_a_clock_that_was_set_back(tmp_path: Path, moved, begin) -> None:
    studio = begin()
    paint(studio)
    studio.stop()
    fill_history(tmp_path / "outputs" / ".webbduck" / "jobs.sqlite3", 1000)
    moved(-3600)
    studio = begin()
    for _ in range(2):
        ended = paint(studio)
        assert ended["state"] == "completed", "it is remembered although those before it ended later"
    counts = (studio.do(do="counts") or {})["answer"]
    assert counts["completed"] == 1000


def fill_history(path: Path, number: int) -> None:
    """Copies of the job that has ended, each a moment younger than the one before."""
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row
    with db:
        row = {**dict(db.execute("SELECT * FROM jobs").fetchone()), "run": None, "images": json.dumps([])}
        del row["number"]
        for count in range(number):
            row |= {"id": f"{count:016x}", "finished": row["finished"] + 0.001}
            db.execute(
                f"INSERT INTO jobs({','.join(row)}) VALUES ({','.join('?' * len(row))})", [*row.values()]
            )
    db.close()
