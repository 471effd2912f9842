"""How the LoRAs tab bears many LoRAs, and how soon a change on the disk is seen.

    python tests/browser/measure_catalog.py [--loras 500]

Starts a studio of its own over that many LoRA files with pictures beside them, and prints medians.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from gradio_client import Client  # noqa: E402
from lora_files import lora_bytes  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402
from running import STARTER, free_port, studio_settings  # noqa: E402

from webbduck_gradio.settings import HOME, Settings  # noqa: E402
from webbduck_gradio.web.server import StudioServer  # noqa: E402

TIMES = 7
KEYS = """() => {
    window.took = [];
    let begun = 0;
    const field = document.querySelector('.catalog .find');
    field.addEventListener('keydown', () => {
        begun = performance.now();
        requestAnimationFrame(() => setTimeout(() => window.took.push(performance.now() - begun)));
    }, true);
}"""
SCROLL = """async (selector) => {
    let area = document.querySelector(selector);
    while (area && area.scrollHeight <= area.clientHeight + 1) area = area.parentElement;
    area ??= document.scrollingElement;
    const took = [];
    let last = await new Promise(requestAnimationFrame);
    for (let step = 0; step < 120; step += 1) {
        area.scrollTop += 120;
        const now = await new Promise(requestAnimationFrame);
        took.push(now - last);
        last = now;
    }
    area.scrollTop = 0;
    return took;
}"""


def fill(settings: Settings, count: int) -> None:
    """LoRAs that fit the starter checkpoint, each with a picture beside it."""
    starter = settings.checkpoints / "sdxl" / STARTER
    for number in range(count):
        about = {"modelspec.description": f"Number {number}, in the manner of nobody in particular."}
        name = settings.loras / f"style {number:04}.safetensors"
        name.write_bytes(lora_bytes(starter, about))
        Image.effect_mandelbrot((256, 256), (-2, -1.5, 1, 1.5), 10 + number % 90).save(
            name.with_suffix(".png")
        )


def seconds(act: Callable[[], object], seen: Callable[[], object]) -> float:
    """From the act until it is seen."""
    start = time.perf_counter()
    act()
    while not seen():
        time.sleep(0.02)
    return time.perf_counter() - start


def spread(name: str, values: list[float], unit: str = "ms") -> None:
    values = sorted(values)
    print(
        f"{name}: median {statistics.median(values):.2f} {unit}, 95th percentile "
        f"{values[int(0.95 * (len(values) - 1))]:.2f} {unit}, worst {values[-1]:.2f} {unit} of {len(values)}"
    )


def look(page: Page, count: int) -> None:
    """The tab opened, typed into, scrolled."""
    shown = "document.querySelectorAll('.cards .card').length"
    opened = []
    for _ in range(TIMES):
        page.get_by_role("tab", name="Studio").click()
        page.wait_for_timeout(300)
        start = time.perf_counter()
        page.get_by_role("tab", name="LoRAs").click()
        page.wait_for_function(f"{shown} > 0 && document.querySelector('.cards .card').offsetParent")
        opened.append(1000 * (time.perf_counter() - start))
    spread(f"tab with {count} LoRAs opened", opened)
    print(f"cards in the page: {page.evaluate(shown)}")
    page.evaluate(KEYS)
    page.click(".catalog .find")
    for _ in range(3):
        page.keyboard.type("style 0123", delay=80)
        for _ in range(10):
            page.keyboard.press("Backspace", delay=40)
    spread("key to paint in the search", page.evaluate("window.took"))
    page.wait_for_timeout(500)
    spread("frame while scrolling by 120 pixels a frame", page.evaluate(SCROLL, ".cards"))


def change(page: Page, settings: Settings, client: Client) -> None:
    """A file added and removed: in the open page and through the API."""
    starter = settings.checkpoints / "sdxl" / STARTER
    data = lora_bytes(starter)
    fresh = settings.loras / "zz fresh.safetensors"
    page.fill(".catalog .find", "zz fresh")
    in_page = lambda: page.locator(".cards .card").count()  # noqa: E731
    in_api = lambda: any(lora["name"] == "zz fresh" for lora in client.predict(api_name="/loras"))  # noqa: E731
    for name, seen in (("page", in_page), ("API", in_api)):
        added, removed = [], []
        for _ in range(TIMES):
            added.append(seconds(lambda: fresh.write_bytes(data), seen))
            removed.append(seconds(fresh.unlink, lambda seen=seen: not seen()))
        spread(f"file added, seen in the {name}", added, "s")
        spread(f"file removed, seen in the {name}", removed, "s")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("--loras", type=int, default=500, help="how many (default 500)")
    count = asked.parse_args().loras
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        settings = studio_settings(Path(folder), HOME / "checkpoint", port=free_port())
        fill(settings, count)
        server = StudioServer(settings)
        server.start()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.url)
        page.wait_for_function("window.webbduck?.form?.state()")
        page.wait_for_timeout(10_000)  # torch, which the studio loads meanwhile
        look(page, count)
        change(page, settings, Client(server.url, verbose=False))
        browser.close()
        server.close()


if __name__ == "__main__":
    main()
