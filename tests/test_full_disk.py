"""A disk that fills up in the middle of a job, and has room again later."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from PIL import Image
from running import APP, PAINTED_APP, free_port, wait_until

from webbduck_gradio.settings import Settings

SMALL_DISK = 'mount -t tmpfs -o size=96m tmpfs "$0" && exec "$@"'
REFUSES = """
import errno, os, sys
def full(event, details):
    if event != "open" or not os.path.exists({switch!r}):
        return
    path, _, flags = details
    writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
    if writes and {below!r} in str(path) and "/logs/" not in str(path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))
sys.addaudithook(full)
"""
"""Where nothing can be mounted: the same error at each opening of a file to write, in the true server."""


def can_mount(folder: Path) -> bool:
    """Whether this system lets a process have a small disk of its own."""
    if not sys.platform.startswith("linux") or not shutil.which("unshare"):
        return False
    with suppress(OSError, subprocess.TimeoutExpired):
        command = ["unshare", "-rm", "sh", "-c", SMALL_DISK, str(folder), "true"]
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    return False


@contextmanager
def studio_on_a_small_disk(
    settings: Settings, port: int, mounts: bool, program: Path
) -> Iterator[tuple[Path, Callable[[], None], Callable[[], None]]]:
    """A running studio: where its outputs are seen from here, and what fills its disk and frees it."""
    disk = settings.outputs.parent / "disk"
    disk.mkdir()
    outputs, log = disk / "outputs", settings.outputs.parent / "log"
    command = [sys.executable, str(program), "--port", str(port), "--output", str(outputs)]
    folders = {"checkpoints": settings.checkpoints, "loras": settings.loras, "inputs": settings.inputs}
    for flag, folder in folders.items():
        command += [f"--{flag}", str(folder)]
    environment = dict(os.environ)
    switch = settings.outputs.parent / "full"
    if mounts:
        command = ["unshare", "-rm", "sh", "-c", SMALL_DISK, str(disk), *command]
    else:
        guard = settings.outputs.parent / "guard"
        guard.mkdir()
        (guard / "sitecustomize.py").write_text(REFUSES.format(switch=str(switch), below=str(outputs)))
        environment["PYTHONPATH"] = str(guard)
    with log.open("wb") as file:
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
    seen = Path(f"/proc/{server.pid}/root{outputs}") if mounts else outputs
    ballast = seen.parent / "ballast"

    def fill() -> None:
        if not mounts:
            switch.touch()
            return
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"\0" * 4096):
                pass

    def free() -> None:
        (ballast if mounts else switch).unlink()

    try:
        wait_until(lambda: b"WebbDuck is at" in log.read_bytes() or server.poll() is not None)
        assert server.poll() is None, log.read_text()
        yield seen, fill, free
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(30)


@pytest.mark.parametrize(
    ("mounted", "program"),
    [
        # What the disk refuses is refused to the queue and the gallery; the core writes nothing.
        pytest.param(True, PAINTED_APP, id="mounted"),
        # What stands in where nothing can be mounted must tell the same as a true full disk.
        pytest.param(False, PAINTED_APP, id="refused", marks=pytest.mark.slow),
        pytest.param(True, APP, id="mounted-true-core", marks=pytest.mark.slow),
    ],
)
def test_the_disk_fills_up_during_a_job(settings: Settings, mounted: bool, program: Path) -> None:
    port, mounts = free_port(), mounted and can_mount(settings.outputs.parent)
    print("a small disk of its own" if mounts else "refused by the opening of files")
    with studio_on_a_small_disk(settings, port, mounts, program) as (outputs, fill, free):
        client = Client(f"http://127.0.0.1:{port}", verbose=False)

        def submit(prompt: str, images: int) -> str:
            # Seconds from one picture to the next, so that the disk is full before the last.
            asked = {"steps": 40, "num_images": images, "seed": 1, "wait_for_result": False}
            return client.predict(prompt, **asked, api_name="/generate")[1]["job_id"]

        def job(job_id: str) -> dict:
            return client.predict(job_id, api_name="/job")

        first, second = submit("a red duck", 8), submit("a blue duck", 1)
        wait_until(lambda: len(job(first)["images"]) >= 1, 400)
        fill()
        wait_until(lambda: job(first)["status"] != "running", 300)
        failed, queue = job(first), client.predict(api_name="/queue")
        assert failed["status"] == "failed"
        assert "disk is full" in failed["error"] and "\n" not in failed["error"]
        assert 1 <= len(failed["images"]) < 8
        assert queue["paused"] and "disk is full" in queue["pause_reason"]
        assert job(second)["status"] == "queued"
        # Finished pictures stay, whole; nothing half written is shown or left.
        for image in failed["images"]:
            with Image.open(outputs / image) as picture:
                picture.load()
        assert len(list((outputs / failed["run"]).glob("*.png"))) == len(failed["images"])
        assert list((outputs / ".webbduck" / "tmp").glob("*.tmp")) == []
        picture = settings.outputs.parent / "picture.png"
        Image.new("RGB", (64, 64)).save(picture)
        answer = httpx.post(f"{client.src}gradio_api/upload", files={"files": picture.open("rb")}, timeout=60)
        assert answer.status_code == 507 and "disk is full" in answer.json()["error"]
        free()
        wait_until(lambda: job(second)["status"] == "completed", 300)
        assert not client.predict(api_name="/queue")["paused"]
        again = client.predict(first, api_name="/retry")["job_id"]
        client.predict(again, api_name="/cancel")
        client.close()
