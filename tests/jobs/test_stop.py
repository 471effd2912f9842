"""Stopping the true server as a service manager and as a person does."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from gradio_client import Client
from PIL import Image
from running import PATIENCE, free_port, wait_until

from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.request import UpscaleRequest
from webbduck_gradio.settings import HOME, Settings

HANGS = """
import sys, time
sys.path.insert(0, {painter!r})
from painter import Painter
from webbduck_gradio import cli
from webbduck_gradio.jobs.worker import Worker

def start(self, *arguments, init=Worker.__init__):
    init(self, *arguments)
    self.context.make_generator = lambda: Painter(lambda *_: time.sleep(3600))

Worker.__init__ = start
sys.exit(cli.main())
"""


def state_of(path: Path, job_id: str) -> str:
    """Read beside the server, which has the queue for itself."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        return db.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()[0]
    finally:
        db.close()


@pytest.fixture
def launch(
    settings: Settings, tmp_path: Path
) -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], Path]]]:
    """Starts a studio on these folders; answers the process and its log."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*program: str) -> tuple[subprocess.Popen[bytes], Path]:
        flags = {
            "--port": free_port(),
            "--output": settings.outputs,
            "--checkpoints": settings.checkpoints,
            "--loras": settings.loras,
            "--inputs": settings.inputs,
        }
        log = tmp_path / "log.txt"
        with log.open("wb") as lines:
            server = subprocess.Popen(
                [
                    sys.executable,
                    *program,
                    "--no-preload",
                    *(str(part) for pair in flags.items() for part in pair),
                ],
                stdout=lines,
                stderr=lines,
                cwd=HOME,
                env={**os.environ, "WEBBDUCK_CATALOG_POLL_SECONDS": "60"},
                # A shell lets what it runs in the background ignore Ctrl+C, and that is inherited.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        started.append(server)
        return server, log

    yield start
    for server in started:
        server.kill()
        server.wait()


def paints(settings: Settings, _path: Path, _job: str) -> bool:
    """The true core is in the middle of a picture."""
    return any(settings.previews.glob("*.jpg"))


def has_begun(_settings: Settings, path: Path, job: str) -> bool:
    """It was claimed a moment ago, so torch or the checkpoint is being loaded."""
    return state_of(path, job) == "running"


@pytest.mark.parametrize(
    ("how", "reached"),
    [
        pytest.param(signal.SIGTERM, has_begun, id="SIGTERM-while-loading"),
        pytest.param(signal.SIGINT, paints, id="Ctrl+C-while-painting"),
    ],
)
def test_the_running_job_is_put_back_as_interrupted(
    settings: Settings, path: Path, ask, launch, how, reached
) -> None:
    store = JobStore(path)
    long, waiting = store.submit(ask(steps=150, num_images=8, width=256, height=256)), store.submit(ask())
    store.close()
    server, log = launch(str(HOME / "app.py"))
    wait_until(lambda: server.poll() is not None or reached(settings, path, long.id))
    with ExitStack() as after:
        if reached is paints:
            # The client's stream stays open, as a page's does: nothing may wait for it.
            client = client_of(log)
            after.callback(client.close)
            assert client.predict(long.id, api_name="/job")["status"] == "running"
        stopped_in_order(server, log, how, path, long.id, waiting.id)


# That each tile asks whether to stop is test_upscaling.py's.
@pytest.mark.slow
def test_an_upscaling_is_put_back_as_interrupted(settings: Settings, path: Path, ask, launch) -> None:
    (settings.checkpoints / "upscale").symlink_to(HOME / "checkpoint" / "upscale")
    run = settings.outputs / "2020-01-01_00-00-00"
    run.mkdir()
    Image.effect_noise((2000, 2000), 40).convert("RGB").save(run / "0.png", compress_level=1)
    store = JobStore(path)
    large = UpscaleRequest(image=f"{run.name}/0.png", scale=2, upscaler="webbduck-starter-x2")
    long, waiting = store.submit(large, kind="upscale"), store.submit(ask())
    store.close()
    server, log = launch(str(HOME / "app.py"))
    wait_until(lambda: server.poll() is not None or b"WebbDuck is at" in log.read_bytes())
    client = client_of(log)
    wait_until(lambda: client.predict(long.id, api_name="/job")["step"] > 0)
    stopped_in_order(server, log, signal.SIGTERM, path, long.id, waiting.id)
    client.close()
    assert [each.name for each in run.iterdir()] == ["0.png"]


def client_of(log: Path) -> Client:
    url = re.findall(r"WebbDuck is at (\S+)", log.read_text())[0]
    # It shares the processor with what is painted.
    return Client(url, verbose=False, httpx_kwargs={"timeout": PATIENCE})


def stop(server: subprocess.Popen[bytes], how: int, log: Path) -> None:
    since = time.monotonic()
    server.send_signal(how)
    assert server.wait(PATIENCE) == 0, log.read_text()
    print(f"\n{time.monotonic() - since:.1f} s from the signal to the end of the process")


def stopped_in_order(server, log: Path, how: int, path: Path, running: str, waiting: str) -> None:
    assert server.poll() is None, log.read_text()
    stop(server, how, log)
    store = JobStore(path)
    job = store.get(running)
    assert job.state == "interrupted", log.read_text()
    assert "studio was stopped" in (job.error or "")
    assert store.get(waiting).state == "queued"
    assert "Traceback" not in log.read_text()
    store.close()


@pytest.mark.parametrize(
    "how", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)], ids=["SIGTERM", "Ctrl+C"]
)
def test_a_step_that_takes_an_hour_does_not_keep_the_process(
    settings: Settings, path: Path, ask, launch, how: tuple[int, ...]
) -> None:
    """Nor does a person wait for it who presses Ctrl+C again."""
    store = JobStore(path)
    long, waiting = store.submit(ask()), store.submit(ask())
    store.close()
    server, log = launch("-c", HANGS.format(painter=str(Path(__file__).parent)))

    def reached() -> bool:
        assert server.poll() is None, log.read_text()
        return state_of(path, long.id) == "running"

    wait_until(reached)
    for each in how[:-1]:
        server.send_signal(each)
        wait_until(lambda: b"Stopping" in log.read_bytes())
    stop(server, how[-1], log)
    store = JobStore(path)
    assert store.recover() <= len(how) - 1  # who does not wait leaves that to the next start
    assert (store.get(long.id).state, store.get(waiting.id).state) == ("interrupted", "queued")
    store.close()
