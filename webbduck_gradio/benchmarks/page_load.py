"""How soon the page can be used, and how soon a letter shows in the prompt.

Starts a studio of its own, opens its page five times in fresh browsers, and prints medians.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .common import begin, chromium, parser, spread, studio, temporary_settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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


def main(arguments: Sequence[str]) -> int:
    parser("page-load", __doc__).parse_args(arguments)
    begin()
    with temporary_settings() as settings, studio(settings) as server, chromium() as browser:
        opened(browser, server.url)  # the first one also waits for torch, which the studio loads meanwhile
        found = [opened(browser, server.url) for _ in range(TIMES)]
    print("usable page:", spread([seconds for seconds, _ in found], "s", 2))
    print("key to paint in the prompt:", spread([each for _, took in found for each in took]))
    return 0
