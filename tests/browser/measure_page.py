"""How soon the page can be used, and how long a key takes in the prompt.

    python tests/browser/measure_page.py

Starts a studio of its own, opens its page five times in fresh browsers, and prints medians.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from playwright.sync_api import Browser, sync_playwright  # noqa: E402
from running import free_port, studio_settings  # noqa: E402

from webbduck_gradio.settings import HOME  # noqa: E402
from webbduck_gradio.web.server import StudioServer  # noqa: E402

TIMES = 5
TEXT = "a red duck on a pond at sunset, (golden light:1.2), reeds and calm water"
KEYS = """() => {
    window.took = [];
    let begun = 0;
    const area = document.querySelector('#prompt textarea');
    area.addEventListener('keydown', () => {
        begun = performance.now();
        requestAnimationFrame(() => setTimeout(() => window.took.push(performance.now() - begun)));
    }, true);
}"""


def opened(browser: Browser, url: str) -> tuple[float, list[float]]:
    """Seconds until Generate can be pressed with the form's values there; milliseconds from key to paint."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(
        "window.webbduck?.form?.state() && document.querySelector('#generate')?.offsetParent"
    )
    usable = time.perf_counter() - start
    page.evaluate(KEYS)
    page.click("#prompt textarea")
    page.keyboard.type(TEXT, delay=60)
    page.wait_for_timeout(300)
    took = page.evaluate("window.took")
    context.close()
    return usable, took


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = StudioServer(studio_settings(Path(folder), HOME / "checkpoint", port=free_port()))
        server.start()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=["--no-sandbox"]
        )
        opened(browser, server.url)  # the first one also waits for torch, which the studio loads meanwhile
        found = [opened(browser, server.url) for _ in range(TIMES)]
        usable = [seconds for seconds, _ in found]
        keys = sorted(each for _, took in found for each in took)
        print(f"usable page: median {statistics.median(usable):.2f} s, worst {max(usable):.2f} s of {TIMES}")
        print(
            f"key to paint in the prompt: median {statistics.median(keys):.0f} ms, "
            f"95th percentile {keys[int(0.95 * len(keys))]:.0f} ms of {len(keys)}"
        )
        browser.close()
        server.close()


if __name__ == "__main__":
    main()
