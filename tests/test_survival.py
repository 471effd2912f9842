"""The studio as a process: killed with jobs queued, started again; stopped; with the network cut off."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gradio_client import Client
from PIL import Image
from running import APP, PAINTED_APP, PATIENCE, STARTER, free_port, wait_until

from webbduck_gradio.settings import HOME, Settings

BOTH_CORES = pytest.mark.parametrize("program", [PAINTED_APP, APP], ids=["painter", "true-core"])


@contextmanager
def process(
    settings: Settings,
    port: int,
    *before: str,
    more: tuple[str, ...] = (),
    program: Path = APP,
    preload: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """`python app.py` on these folders, or another program with its flags; it answers when this returns."""
    log = settings.outputs.parent / f"log-{time.time_ns()}"
    command = [sys.executable, *before, str(program), "--port", str(port)]
    command += [] if preload else ["--no-preload"]
    folders = {"output": settings.outputs, "checkpoints": settings.checkpoints, "loras": settings.loras}
    for flag, folder in [*folders.items(), ("inputs", settings.inputs)]:
        command += [f"--{flag}", str(folder)]
    command += more
    with log.open("wb") as file:
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: b"WebbDuck is at" in log.read_bytes() or server.poll() is not None)
        assert server.poll() is None, log.read_text()
        yield server
    finally:
        if server.poll() is None:
            server.kill()
        server.wait(PATIENCE)


def finished(client: Client) -> list[dict]:
    return client.predict(api_name="/queue")["recent"]


# The quick form is test_going_on.py's.
@pytest.mark.slow
@BOTH_CORES
def test_kill_nine_with_five_queued(settings: Settings, program: Path) -> None:
    port = free_port()
    with process(settings, port, program=program) as server:
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        asked = [
            client.predict(
                "a duck",
                seed=n,
                # The first is at work for long, so that the kill meets it with five waiting.
                **({"steps": 150, "num_images": 8} if n == 0 else {"steps": 6}),
                wait_for_result=False,
                api_name="/generate",
            )[1]["job_id"]
            for n in range(6)
        ]
        wait_until(lambda: client.predict(asked[0], api_name="/job")["step"] > 0)
        running = client.predict(api_name="/queue")["active_job_id"]
        server.send_signal(signal.SIGKILL)
        server.wait()
        client.close()
    with process(settings, port, program=program):
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        wait_until(lambda: len(finished(client)) == len(asked))
        states = {job["job_id"]: job["status"] for job in finished(client)}
        client.close()
    assert set(states) == set(asked)
    # The one that ran is marked and not started again by itself; whatever waited was done, once.
    done = [job for job in asked if states[job] == "completed"]
    assert running == asked[0]
    assert states[running] == "interrupted"
    assert done == asked[1:]
    metas = [json.loads(path.read_text()) for path in settings.outputs.glob("*/meta.json")]
    assert sorted(meta["job_id"] for meta in metas if meta["job_id"] != running) == sorted(done)
    for path in settings.outputs.glob("*/*.png"):
        with Image.open(path) as image:
            image.load()


# The quick form is test_stop.py's.
@pytest.mark.slow
@BOTH_CORES
def test_a_stop_is_quick_and_keeps_the_queue(settings: Settings, program: Path) -> None:
    port = free_port()
    with process(settings, port, program=program) as server:
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        jobs = [
            client.predict(
                "a duck", seed=1, steps=150, num_images=8, wait_for_result=False, api_name="/generate"
            )[1]
            for _ in range(2)
        ]
        wait_until(lambda: client.predict(jobs[0]["job_id"], api_name="/job")["step"] > 0)
        client.close()
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE) == 0
    from webbduck_gradio.jobs.store import JobStore

    store = JobStore(settings.data_dir / "jobs.sqlite3")
    states = [store.get(job["job_id"]).state for job in jobs]
    store.close()
    assert states == ["interrupted", "queued"]


def test_the_default_checkpoint_is_loaded_without_a_job_and_without_any_network(
    settings: Settings, tmp_path: Path
) -> None:
    """From the start to a finished picture, nothing but loopback is asked for, and no library tells
    anything."""
    report = tmp_path / "asked"
    guard = tmp_path / "guard" / "sitecustomize.py"
    guard.parent.mkdir()
    guard.write_text(GUARD.format(report=str(report)))
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(guard.parent))
        with process(settings, port, preload=True):
            assert (guard.parent / "loaded").exists(), "the guard stood"
            # While torch is imported the studio answers slowly.
            patient = {"timeout": PATIENCE}
            client = Client(f"http://127.0.0.1:{port}", verbose=False, httpx_kwargs=patient)
            wait_until(lambda: client.predict(api_name="/health")["loaded"] == STARTER)
            assert sum(client.predict(api_name="/health")["queue"].values()) == 0
            images, _ = client.predict("a duck", steps=2, width=64, height=64, api_name="/generate")
            client.close()
    assert len(images) == 1
    assert not report.exists(), report.read_text()
    (log,) = settings.outputs.parent.glob("log-*")
    told = [line for line in log.read_text().splitlines() if " INFO webbduck_gradio." not in line]
    assert told == [f"WebbDuck is at http://127.0.0.1:{port}"]


GUARD = """
import pathlib, socket
pathlib.Path(__file__).with_name("loaded").touch()
LOCAL = (None, "", "127.0.0.1", "localhost", "::1", "0.0.0.0", b"127.0.0.1", b"localhost")
def told(what):
    with open({report!r}, "a") as file:
        file.write(repr(what) + chr(10))
    raise OSError("the network is cut off")
connect, resolve = socket.socket.connect, socket.getaddrinfo
def guarded_connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
        told(address)
    return connect(self, address)
def guarded_resolve(host, *rest, **more):
    if host not in LOCAL:
        told(host)
    return resolve(host, *rest, **more)
socket.socket.connect, socket.getaddrinfo = guarded_connect, guarded_resolve
"""


WITHOUT_PRELOADING = """
import os, sys, threading
from pathlib import Path
import httpx
from webbduck_gradio.settings import Settings
from webbduck_gradio.web import server

server.WARM_UP_SECONDS = 0
checkpoints, outputs, loras, inputs = map(Path, sys.argv[1:5])
settings = Settings(checkpoints, loras, outputs, inputs, port=int(sys.argv[5]), device="cpu", preload=False)
studio = server.StudioServer(settings)
studio.start()
status = httpx.get(studio.url, timeout=300).status_code
for thread in threading.enumerate():
    if thread.name == "warm-up":
        thread.join()
health = studio.services.health()
imported = [name for name in ("torch", "diffusers") if name in sys.modules]
print(status, health["device"], health["loaded"], sum(health["queue"].values()), *imported, flush=True)
os._exit(0)
"""


def test_asked_not_to_load_it_the_studio_serves_without_torch(settings: Settings) -> None:
    folders = [settings.checkpoints, settings.outputs, settings.loras, settings.inputs]
    finished = subprocess.run(
        [sys.executable, "-c", WITHOUT_PRELOADING, *map(str, folders), str(free_port())],
        capture_output=True,
        text=True,
        cwd=HOME,
        timeout=PATIENCE,
    )
    assert finished.stdout.strip() == "200 starting None 0", finished.stderr


def test_a_second_studio_on_the_same_folder_is_refused(settings: Settings) -> None:
    with process(settings, free_port(), program=PAINTED_APP):
        second = subprocess.run(
            [
                sys.executable,
                str(APP),
                "--port",
                str(free_port()),
                "--output",
                str(settings.outputs),
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert second.returncode == 2
    assert len(second.stderr.strip().splitlines()) == 1, second.stderr
