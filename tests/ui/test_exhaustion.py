"""A flood from the owner's own address while a job runs and a page is open: runs by -m slow."""

from __future__ import annotations

import json
import resource
import socket
import statistics
import threading
import time

import httpx
import psutil
import pytest
from running import free_port
from test_connections import HALF, UPLOAD, cookie_of, is_open
from test_survival import process

from webbduck_gradio.benchmarks.page import component_that_asks
from webbduck_gradio.settings import Settings
from webbduck_gradio.web import file_handles

HALF_OPEN, STALLED = 2_000, 50
EACH_SECOND = 400
LEAST_TICKS, LONGEST_TICK = 40, 1.0
"""Seconds, for 19 of 20."""


class Flood(threading.Thread):
    """Holds what it gets, and opens what was closed anew, some hundred connections each second."""

    def __init__(self, port: int, sent: list[bytes]):
        super().__init__(daemon=True)
        self._port, self._sent = port, sent
        self._lines: list[socket.socket | None] = [None] * len(sent)
        self.opened, self.most = 0, 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            for at, sent in enumerate(self._sent):
                if at % (EACH_SECOND // 20) == 0 and self.ended.wait(1 / 20):
                    break
                line = self._lines[at]
                if line is not None and is_open(line):
                    continue
                if line is not None:
                    line.close()
                try:
                    self._lines[at] = line = socket.create_connection(("127.0.0.1", self._port), timeout=5)
                    line.sendall(sent)
                    self.opened += 1
                except OSError:
                    pass
            self.most = max(self.most, sum(each is not None for each in self._lines))
        for line in self._lines:
            if line is not None:
                line.close()


@pytest.mark.slow
@pytest.mark.parametrize("most_handles", [1024, None])
def test_a_flood_costs_the_owner_nothing(settings: Settings, most_handles: int | None) -> None:
    file_handles.raise_limit()  # of this process, which opens as many
    limit = (
        f"import resource as r; r.setrlimit(r.RLIMIT_NOFILE, ({most_handles},) * 2)" if most_handles else ""
    )
    run = "import sys, runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    port, ticks = free_port(), []
    with (
        process(settings, port, "-c", f"{limit}\n{run}", more=("--auth", "duck:secret")) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as page,
    ):
        assert page.post("/login", data={"username": "duck", "password": "secret"}).status_code == 200
        config = page.get("/config").json()
        tick, known = component_that_asks(config), {}
        flood = Flood(port, [UPLOAD % cookie_of(page)] * STALLED + [HALF] * HALF_OPEN)
        flood.start()
        ids = []
        for number in range(2):
            asked = {"prompt": "a duck", "steps": 20, "width": 128, "height": 128, "num_images": 4}
            call = "/gradio_api/call/v2/generate"
            event = page.post(call, json={**asked, "seed": number, "wait_for_result": False})
            answer = page.get(f"{call}/{event.json()['event_id']}").text
            ids.append(answer.partition('"job_id": "')[2].partition('"')[0])
        states: list[str] = []
        most_files = 0
        while len(ticks) < LEAST_TICKS or any(state in ("queued", "running") for state in states):
            before = time.monotonic()
            sent = {**tick, "data": known, "session_hash": "flood"}
            answer = page.post("/gradio_api/component_server/", json=sent)
            known = json.loads(answer.raise_for_status().json())["versions"]
            ticks.append(time.monotonic() - before)
            most_files = max(most_files, psutil.Process(server.pid).num_fds())
            states = []
            for each in ids:
                call = "/gradio_api/call/v2/job"
                event = page.post(call, json={"job_id": each}).json()["event_id"]
                answer = page.get(f"{call}/{event}").text
                states.append(answer.partition('"status": "')[2].partition('"')[0])
            time.sleep(0.5)
        picture = {"files": ("a.png", b"x")}
        assert page.post("/gradio_api/upload", files=picture).status_code == 200, "among the stalled ones"
        flood.ended.set()
        flood.join()
        bound = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0]
    p95 = statistics.quantiles(ticks, n=20)[-1]
    print(
        f"\n{HALF_OPEN} half-open connections and {STALLED} stalled uploads, {flood.opened} opened in all, "
        f"{bound} handles: jobs {states}, at most {most_files} handles in use, {len(ticks)} ticks, median "
        f"{statistics.median(ticks) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms"
    )
    assert states == ["completed", "completed"]
    assert p95 < LONGEST_TICK
