"""Stopping the true server as a service manager and as a person does."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from running import PATIENCE, free_port, wait_until

from webbduck_gradio.jobs.store import Store
from webbduck_gradio.settings import HOME, Settings


def state_of(path: Path, job_id: str) -> str:
    """Read beside the server, which has the queue for itself."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        return db.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()[0]
    finally:
        db.close()


@pytest.mark.parametrize(
    ("how", "painting"),
    [
        pytest.param(signal.SIGTERM, False, id="SIGTERM-while-loading"),
        pytest.param(signal.SIGINT, True, id="Ctrl+C-while-painting"),
    ],
)
def test_the_running_job_is_put_back_as_interrupted(
    settings: Settings, path: Path, ask, how, painting: bool
) -> None:
    store = Store(path)
    long, waiting = store.submit(ask(steps=150, num_images=8, width=256, height=256)), store.submit(ask())
    store.close()
    flags = {
        "--port": free_port(),
        "--output": settings.outputs,
        "--checkpoints": settings.checkpoints,
        "--loras": settings.loras,
        "--inputs": settings.inputs,
    }
    log = settings.outputs / "log.txt"
    with log.open("wb") as lines:
        server = subprocess.Popen(
            [sys.executable, str(HOME / "app.py"), *(str(part) for pair in flags.items() for part in pair)],
            stdout=lines,
            stderr=lines,
            env={**os.environ, "WEBBDUCK_CATALOG_POLL_SECONDS": "60"},
            # A shell lets what it runs in the background ignore Ctrl+C, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:

        def reached() -> bool:
            assert server.poll() is None, log.read_text()
            if painting:
                return any(settings.previews.glob("*.jpg"))
            return state_of(path, long.id) == "running"

        wait_until(reached)
        server.send_signal(how)
        assert server.wait(PATIENCE) == 0, log.read_text()
    finally:
        server.kill()
        server.wait()
    store = Store(path)
    job = store.get(long.id)
    assert job.state == "interrupted", log.read_text()
    assert "studio was stopped" in (job.error or "")
    assert store.get(waiting.id).state == "queued"
    assert list(settings.previews.iterdir()) == []
    assert "Traceback" not in log.read_text()
    store.close()
