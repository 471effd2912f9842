"""What open pages cost, and how fast one job follows the other.

Starts a studio of its own with an empty output folder. Printed are the server's CPU time as a share of one
core, with no page, and with pages in Chromium (Playwright, from tests/requirements.txt) beside bare Gradio
pages with a timer of the same pace, which is the part that is Gradio's own; how long a page takes to show a
change: alone, while 20 are open in browsers of this computer (whose own share is printed too), and while one
is open and 19 clients ask as pages do; and the time from the end of a job to the start of the next one.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from .common import begin, chromium, free_port, parser, temporary_settings

FLAGS = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
NOTE = """webbduck.subscribe('jobs', (state) => {
    window.noted = (window.noted ?? []).concat([[state.paused, Date.now() / 1000]]);
})"""
SHOWN = "([paused, since]) => window.noted.find((each) => each[0] === paused && each[1] >= since)"

BARE = """
import sys
import gradio as gr
from webbduck_gradio.ui.changes import TICK_SECONDS
from webbduck_gradio.api.gradio_helpers import BACKGROUND_EVENT

with gr.Blocks(analytics_enabled=False) as page:
    pulse = gr.Textbox(visible=False)
    gr.Timer(TICK_SECONDS).tick(lambda: "1", None, pulse, **BACKGROUND_EVENT)
page.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True, enable_monitoring=False)
"""


@contextmanager
def process(*arguments: str) -> Iterator[tuple[psutil.Process, str]]:
    """A server process that answers at its port, the last argument; and its address."""
    port = arguments[-1]
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    started = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(port))) == 0:
                    break
            if started.poll() is not None:
                raise SystemExit(f"The server did not start: {' '.join(arguments)}")
            time.sleep(0.1)
        yield psutil.Process(started.pid), f"http://127.0.0.1:{port}"
    finally:
        started.terminate()
        started.wait(60)


def share_of_a_core(server: psutil.Process, seconds: float) -> float:
    """CPU time of the server in the next `seconds`, in percent of one core."""
    return shares_of_a_core([server], seconds=seconds)[0]


def shares_of_a_core(*groups: list[psutil.Process], seconds: float) -> list[float]:
    """The same of several groups of processes over the same time."""

    def used(group: list[psutil.Process]) -> float:
        found = 0.0
        for each in group:
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                found += times.user + times.system
        return found

    before, start = [used(group) for group in groups], time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - start
    return [100 * (used(group) - was) / took for group, was in zip(groups, before, strict=True)]


def browsers() -> list[psutil.Process]:
    """The processes of Chromium that this one has started."""
    return [each for each in psutil.Process().children(recursive=True) if "chrom" in each.name().lower()]


def settled(server: psutil.Process, url: str | None = None) -> None:
    """Wait until the start is over: the studio's at `url` has its core ready, and little is going on."""
    from gradio_client import Client

    if url:
        client = Client(url, verbose=False)
        while client.predict(api_name="/health")["device"] == "starting":
            time.sleep(1)
        client.close()
    time.sleep(10)
    while share_of_a_core(server, 5) > 10:
        pass


def pages(browser: Any, url: str, count: int, ready: str) -> list[Any]:
    """`count` windows that show the page."""
    opened = []
    for _ in range(count):
        window = browser.new_context().new_page()
        window.set_default_timeout(300_000)
        window.goto(url)
        window.wait_for_selector(ready, state="attached")
        opened.append(window)
    return opened


def idle(studio: psutil.Process, url: str, seconds: float, many: int) -> None:
    """Print what pages cost while nothing happens, and how fast many of them show a change."""
    print(f"\n(a) an idle queue, over {seconds:g} s each; shares of one core")
    with chromium(*FLAGS) as browser, process("-c", BARE, str(free_port())) as (bare, bare_url):
        settled(bare)
        alone = share_of_a_core(studio, seconds), share_of_a_core(bare, seconds)
        print(f"  no page      studio {alone[0]:6.2f} %   bare Gradio with the same timer {alone[1]:6.2f} %")
        for count in (1, many):
            shares, ours = [], []
            for server, address, ready in (
                (studio, url, ".statusline .device"),
                (bare, bare_url, "gradio-app"),
            ):
                windows = pages(browser, address, count, ready)
                time.sleep(3)
                share, browsing = shares_of_a_core([server], browsers(), seconds=seconds)
                shares.append(share)
                ours.append(browsing)
                if server is studio:
                    responsiveness(windows[-1], url, f"{count} page(s) open")
                for window in windows:
                    window.context.close()
            beyond = (shares[0] - alone[0]) - (shares[1] - alone[1])
            print(
                f"  {count:2} page(s)   studio {shares[0]:6.2f} %   bare Gradio with the same timer "
                f"{shares[1]:6.2f} %   beyond Gradio's own {beyond:6.2f} %"
            )
            print(f"              browsers {ours[0]:5.1f} %   those with bare Gradio {ours[1]:5.1f} %")
        (window,) = pages(browser, url, 1, ".statusline .device")
        with asking(url, many - 1):
            time.sleep(3)
            responsiveness(window, url, f"1 page and {many - 1} clients that ask as pages do")


def component_that_asks(config: Any) -> dict[str, Any]:
    """What a page sends at each tick, beside the versions that it knows as "data" and its session."""
    found = (each["id"] for each in config["components"] if each["props"].get("elem_id") == "changes")
    return {"component_id": next(found), "fn_name": "webbduck_changes"}


@contextmanager
def asking(url: str, count: int) -> Iterator[None]:
    """`count` clients that ask at the pace of a page, and fetch what a page fetches after a change."""
    import httpx

    from ..ui.changes import TICK_SECONDS

    component = component_that_asks(httpx.get(f"{url}/config").json())
    done = threading.Event()

    def page(number: int) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            known: Any = {}
            while not done.wait(TICK_SECONDS):
                asked = {**component, "data": known, "session_hash": f"page{number}"}
                answer = client.post("/gradio_api/component_server/", json=asked)
                known = json.loads(answer.json())["versions"]

    threads = [threading.Thread(target=page, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        done.set()
        for each in threads:
            each.join()


def responsiveness(window: Any, url: str, what: str) -> None:
    """Print how long a change takes to be shown in the window, and an answer of the API."""
    from gradio_client import Client

    client = Client(url, verbose=False)
    shown, asked = [], []
    window.evaluate(NOTE)
    for turn in range(10):
        pause = turn % 2 == 0
        start = time.time()
        client.predict(api_name="/pause" if pause else "/resume")
        shown.append(window.wait_for_function(SHOWN, arg=[pause, start]).json_value()[1] - start)
        start = time.perf_counter()
        client.predict(api_name="/queue")
        asked.append(time.perf_counter() - start)
    client.close()
    print(
        f"  {what}: a change is shown after {statistics.median(shown):.2f} s "
        f"(median; most {max(shown):.2f} s), /queue answers in {statistics.median(asked):.3f} s"
    )


def gaps(url: str, jobs: int) -> None:
    """Print the time between the end of one job and the start of the next, as the queue recorded them."""
    from gradio_client import Client

    client = Client(url, verbose=False)
    asked: dict[str, Any] = {"steps": 1, "width": 64, "height": 64, "loras": [], "wait_for_result": False}
    client.predict("warm up", **{**asked, "wait_for_result": True}, api_name="/generate")
    client.predict(api_name="/pause")
    for number in range(jobs):
        client.predict(f"a duck {number}", **asked, api_name="/generate")
    client.predict(api_name="/resume")
    while (queue := client.predict(api_name="/queue"))["counts"]["completed"] < jobs + 1:
        time.sleep(0.5)
    client.close()
    ended = sorted(queue["recent"], key=lambda job: job["started"])
    between = [b["started"] - a["finished"] for a, b in itertools.pairwise(ended)]
    between = [gap * 1000 for gap in between[-jobs + 1 :]]
    low, middle, high = statistics.quantiles(between, n=4, method="inclusive")
    print(f"\n(b) from the end of a job to the start of the next, {len(between)} gaps")
    print(f"  median {middle:.0f} ms  (quartiles {low:.0f} .. {high:.0f} ms, most {max(between):.0f} ms)")


def main(arguments: Sequence[str]) -> int:
    command = parser("page", __doc__)
    command.add_argument("--seconds", type=float, default=20.0, help="of each measurement (default 20)")
    command.add_argument("--pages", type=int, default=20, help="how many pages are many (default 20)")
    command.add_argument("--jobs", type=int, default=20, help="jobs in a row, 3 to 20 (default 20)")
    options = command.parse_args(arguments)
    if not 3 <= options.jobs <= 20 or options.pages < 1 or options.seconds <= 0:
        command.error("--jobs must be 3 to 20, --pages 1 or more, --seconds above 0")
    begin()
    with temporary_settings() as settings:
        folders = {"output": settings.outputs, "inputs": settings.inputs, "loras": settings.loras}
        given = [f"--{name}={folder}" for name, folder in folders.items()]
        command_line = ("-m", "webbduck_gradio", *given, "--port", str(settings.port))
        with process(*command_line) as (studio, url):
            settled(studio, url)
            idle(studio, url, options.seconds, options.pages)
            gaps(url, options.jobs)
    return 0
