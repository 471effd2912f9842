"""kill -9 at random moments while jobs are submitted, cancelled, retried, moved and paused."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from running import PATIENCE, free_port
from studio import folders

from webbduck_gradio.gallery import metadata
from webbduck_gradio.jobs.job import FINAL
from webbduck_gradio.jobs.store import JobStore

HERE = Path(__file__).resolve().parent


class Studio:
    """A server process that obeys orders."""

    def __init__(self, folder: Path, checkpoints: Path, port: int, log: Path, *more: str):
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "studio.py"), str(folder), str(checkpoints), str(port), *more],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin, self.process.stdout
        while (line := self._out.readline()).strip() != "ready":
            assert line, log.read_text()[-3000:]

    def do(self, **order: Any) -> dict[str, Any] | None:
        """The answer, or None when the process died over it."""
        try:
            self._in.write(json.dumps(order) + "\n")
            self._in.flush()
            line = self._out.readline()
        except OSError:
            return None
        return json.loads(line) if line else None

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it as its user does."""
        self._in.close()
        self.gone()

    def gone(self) -> None:
        """Wait for its end, and let go of the pipes."""
        self.process.wait(PATIENCE)
        for pipe in (self._in, self._out):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def disturb(studio: Studio, dice: random.Random, known: list[str]) -> bool:
    """One random order; whether the studio lived to answer it. `known` gets what was acknowledged."""
    what = dice.choices(["submit", "cancel", "retry", "move", "pause", "resume"], [10, 4, 3, 2, 1, 3])[0]
    if what == "submit" or not known:
        asked = {
            "prompt": f"a {dice.choice(['red', 'blue', 'green'])} duck",
            "steps": dice.randint(1, 3),
            "num_images": dice.randint(1, 3),
            "width": 64,
            "height": 64,
            "scheduler": "Euler",
            "loras": [],
        }
        answer = studio.do(do="submit", asked=asked)
    elif what == "cancel":
        answer = studio.do(do="cancel", id=dice.choice(known[-8:]), after_image=dice.random() < 0.5)
    elif what == "retry":
        answer = studio.do(do="retry", id=dice.choice(known))
    elif what == "move":
        answer = studio.do(do="move", id=dice.choice(known[-8:]), to=dice.choice(["up", "top", "down", 1]))
    else:
        answer = studio.do(do=what)
    if answer is None:
        return False
    if what in ("submit", "retry") and "answer" in answer:
        known.append(answer["answer"])
    return True


@pytest.mark.parametrize(
    ("kills", "longest", "core"),
    [
        pytest.param(1, 3.0, "painter", id="1-kill"),
        pytest.param(30, 4.0, "painter", id="30-kills", marks=pytest.mark.slow),
        pytest.param(20, 14.0, "torch", id="20-kills-with-the-true-core", marks=pytest.mark.slow),
    ],
)
def test_no_job_and_no_picture_is_lost_to_kill_9(
    tmp_path: Path, starter_checkpoints, kills, longest, core
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    known: list[str] = []
    log = tmp_path / "log.txt"
    for _ in range(kills):
        studio = Studio(tmp_path, starter_checkpoints, free_port(), log, core)
        killer = threading.Timer(dice.uniform(0.05, longest), studio.kill)
        killer.start()
        while disturb(studio, dice, known):
            time.sleep(dice.uniform(0, 0.06))
        killer.join()
        studio.gone()
        assert studio.process.returncode == -signal.SIGKILL, log.read_text()[-3000:]
    studio = Studio(tmp_path, starter_checkpoints, free_port(), log, core)
    studio.do(do="resume")
    try:
        for _ in range(6000):  # ten minutes: far more than it takes
            counts = (studio.do(do="counts") or {})["answer"]
            if not counts["queued"] and not counts["running"]:
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"The queue stands still: {counts}\n{log.read_text()[-3000:]}")
    finally:
        studio.stop()
    assert studio.process.returncode == 0
    check(tmp_path, starter_checkpoints, known, log.read_text(), kills)


def check(folder: Path, checkpoints: Path, known: list[str], log: str, kills: int) -> None:
    settings = folders(folder, checkpoints, 0)
    store = JobStore(settings.data_dir / "jobs.sqlite3")
    jobs = {job.id: job for job in store.recent(100_000)}
    counts = store.counts()
    store.close()
    print(len(jobs), "jobs", counts)
    assert store.problem is None

    # Every submitted job is in exactly one final state.
    assert set(known) <= set(jobs)
    assert counts["queued"] == counts["running"] == 0
    assert all(job.state in FINAL for job in jobs.values())
    assert counts["failed"] == 0, [job.error for job in jobs.values() if job.error]
    assert counts["completed"] > 0
    assert counts["interrupted"] <= kills

    # Every picture on the disk is readable, knows its job, and is known to it; none is missing.
    on_disk: dict[str, set[str]] = {}
    for path in settings.outputs.glob("*/*.png"):
        about = metadata.read(path)
        assert about["request"]["base_model"] == "webbduck-starter"
        on_disk.setdefault(about["webbduck"]["job_id"], set()).add(f"{path.parent.name}/{path.name}")
    for job in jobs.values():
        assert set(job.images) == on_disk.pop(job.id, set())
        assert len({image.split("/")[0] for image in job.images}) <= 1
        if job.state == "completed":
            assert len(job.images) == job.request.num_images
    assert on_disk == {}

    # None ran twice.
    started = Counter(re.findall(r"Job ([0-9a-f]{16}) started", log))
    assert max(started.values()) == 1
    assert {job.id for job in jobs.values() if job.images} <= set(started)

    # Nothing temporary is left.
    assert list(settings.previews.iterdir()) == []
    assert [p for p in settings.outputs.rglob("*") if p.suffix in (".tmp", ".part")] == []
    assert [p.name for p in settings.outputs.iterdir() if p.is_dir() and not any(p.iterdir())] == []
    for meta in settings.outputs.glob("*/meta.json"):
        assert json.loads(meta.read_text())["state"] in FINAL
    assert "A thread died" not in log
    assert "Traceback" not in log, log[log.index("Traceback") - 300 :][:3000]
