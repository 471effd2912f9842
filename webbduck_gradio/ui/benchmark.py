"""`python -m webbduck_gradio.ui.benchmark`: what open pages cost, and how fast one job follows the other.

Starts a studio of its own with an empty output folder. Printed are the server's CPU time as a share of one
core, with no page, and with pages in Chromium (Playwright, from tests/requirements.txt) beside bare Gradio
pages with a timer of the same pace, which is the part that is Gradio's own; how long the page takes to show
a change while 20 are open; and the time from the end of a job to the start of the next one.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
NOTE = """webbduck.subscribe('jobs', (state) => {
    window.noted = (window.noted ?? []).concat([[state.paused, Date.now() / 1000]]);
})"""
SHOWN = "([paused, since]) => window.noted.find((each) => each[0] === paused && each[1] >= since)"

BARE = """
import sys
import gradio as gr
from webbduck_gradio.ui.blocks import TICK_SECONDS
from webbduck_gradio.ui.events import QUIET

with gr.Blocks(analytics_enabled=False) as page:
    pulse = gr.Textbox(visible=False)
    gr.Timer(TICK_SECONDS).tick(lambda: "1", None, pulse, **QUIET)
page.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True, enable_monitoring=False)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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

    def used() -> float:
        times = server.cpu_times()
        return times.user + times.system

    before, start = used(), time.perf_counter()
    time.sleep(seconds)
    return 100 * (used() - before) / (time.perf_counter() - start)


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
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        print(
            "Pages are not measured: Playwright is missing (python -m pip install -r tests/requirements.txt)."
        )
        return
    program = next(
        (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None
    )
    if program is None:
        print("Pages are not measured: Chromium is not installed.")
        return
    print(f"\n(a) an idle queue, over {seconds:g} s each; shares of one core")
    with sync_playwright() as playwright, ExitStack() as stack:
        bare, bare_url = stack.enter_context(process("-c", BARE, str(free_port())))
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        stack.callback(browser.close)
        settled(bare)
        alone = share_of_a_core(studio, seconds), share_of_a_core(bare, seconds)
        print(f"  no page      studio {alone[0]:6.2f} %   bare Gradio with the same timer {alone[1]:6.2f} %")
        for count in (1, many):
            shares = []
            for server, address, ready in (
                (studio, url, ".statusline .device"),
                (bare, bare_url, "gradio-app"),
            ):
                windows = pages(browser, address, count, ready)
                time.sleep(3)
                shares.append(share_of_a_core(server, seconds))
                if server is studio and count == many:
                    responsiveness(windows, url)
                for window in windows:
                    window.context.close()
            beyond = (shares[0] - alone[0]) - (shares[1] - alone[1])
            print(
                f"  {count:2} page(s)   studio {shares[0]:6.2f} %   bare Gradio with the same timer "
                f"{shares[1]:6.2f} %   beyond Gradio's own {beyond:6.2f} %"
            )


def responsiveness(windows: list[Any], url: str) -> None:
    """Print how long a change takes to be shown on the last of the pages, and an answer of the API."""
    from gradio_client import Client

    client = Client(url, verbose=False)
    shown, asked = [], []
    window = windows[-1]
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
        f"  with {len(windows)} pages open: a change is shown after {statistics.median(shown):.2f} s "
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m webbduck_gradio.ui.benchmark", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each measurement (default 20)")
    parser.add_argument("--pages", type=int, default=20, help="how many pages are many (default 20)")
    parser.add_argument("--jobs", type=int, default=20, help="jobs in a row, 3 to 20 (default 20)")
    options = parser.parse_args(arguments)
    if not 3 <= options.jobs <= 20 or options.pages < 1 or options.seconds <= 0:
        parser.error("--jobs must be 3 to 20, --pages 1 or more, --seconds above 0")
    print(f"{platform.platform()}, Python {platform.python_version()}: {' '.join(sys.argv)}")
    home = Path(__file__).resolve().parent.parent.parent
    with tempfile.TemporaryDirectory(prefix="webbduck-benchmark-") as folder:
        given = ["--output", f"{folder}/outputs", "--inputs", f"{folder}/inputs", "--loras", f"{folder}/lora"]
        with process(str(home / "app.py"), *given, "--port", str(free_port())) as (studio, url):
            settled(studio, url)
            idle(studio, url, options.seconds, options.pages)
            gaps(url, options.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
