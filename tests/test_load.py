"""Fifty users at once for five minutes: runs by -m slow; WEBBDUCK_LOAD_SECONDS makes it shorter."""

from __future__ import annotations

import json
import os
import statistics
import threading
import time

import httpx
import psutil
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from running import PATIENCE, free_port
from test_survival import process

from webbduck_gradio.benchmarks.page import component_that_asks
from webbduck_gradio.settings import Settings

USERS = 50
SECONDS = float(os.environ.get("WEBBDUCK_LOAD_SECONDS", "300"))
MOST_GROWTH = 100 * 2**20
"""Bytes that the server may have gained from the first minute's end to the last job's."""


@pytest.mark.slow
def test_fifty_users_at_once(settings: Settings) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    done, full, errors, ticks = [], [], [], []
    end = threading.Event()

    def user(number: int) -> None:
        client = None
        asked = {"seed": number, "steps": 2, "width": 128, "height": 128}
        while not end.is_set():
            try:
                # Patient: fifty users, the studio and its jobs share one machine.
                client = client or Client(url, verbose=False, httpx_kwargs={"timeout": 120})
                done.append(client.predict(f"duck {number}", **asked, api_name="/generate")[1]["job_id"])
            except AppError as error:
                (full if "The queue is full" in str(error) else errors).append(str(error))
                end.wait(1)
            except Exception as error:
                errors.append(f"{type(error).__name__} after {time.monotonic() - started:.0f} s: {error}")
                end.wait(1)
        if client:
            client.close()

    with process(settings, port) as server:
        memory = psutil.Process(server.pid).memory_info
        with httpx.Client(base_url=url, timeout=120) as page:
            config = page.get("/config").json()
            tick, known = component_that_asks(config), {}
            started = time.monotonic()
            users = [threading.Thread(target=user, args=(number,), daemon=True) for number in range(USERS)]
            for each in users:
                each.start()
            first = 0
            while time.monotonic() - started < SECONDS:
                before = time.monotonic()
                asked = {**tick, "data": known, "session_hash": "load"}
                answer = page.post("/gradio_api/component_server/", json=asked)
                known = json.loads(answer.raise_for_status().json())["versions"]
                ticks.append(time.monotonic() - before)
                if not first and time.monotonic() - started > SECONDS / 5:
                    first = memory().rss
                time.sleep(0.5)
            end.set()
            for each in users:
                each.join(PATIENCE)
            assert not any(each.is_alive() for each in users), "every user got an answer to the last call"
        grown = memory().rss - first
    p95 = statistics.quantiles(ticks, n=20)[-1]
    print(
        f"\n{USERS} users, {SECONDS:.0f} s: {len(done)} jobs, {len(full)} times full, {len(errors)} errors, "
        f"memory {grown / 2**20:+.0f} MiB, tick median {statistics.median(ticks) * 1000:.0f} ms, "
        f"p95 {p95 * 1000:.0f} ms"
    )
    assert errors == []
    assert done and len(set(done)) == len(done)
    assert grown < MOST_GROWTH
