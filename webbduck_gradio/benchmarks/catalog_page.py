"""How the LoRAs tab bears many LoRAs, and how soon a change on the disk is seen.

Starts a studio of its own over that many LoRA files with pictures beside them, and prints medians. With
--foreign, most of them lie in other programs' folders.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from ..settings import Settings
from .catalog import write_lora
from .catalog_trees import write_trees
from .common import begin, chromium, parser, spread, studio, temporary_settings

if TYPE_CHECKING:
    from gradio_client import Client
    from playwright.sync_api import Page

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
    """LoRAs with the full header of an SDXL one, each with a picture beside it."""
    for number in range(count):
        name = settings.loras / f"style {number:04}.safetensors"
        write_lora(name, number, rank=4 + number % 12)
        Image.effect_mandelbrot((256, 256), (-2, -1.5, 1, 1.5), 10 + number % 90).save(
            name.with_suffix(".png")
        )


def seconds(act: Callable[[], object], is_seen: Callable[[], bool], until: bool = True) -> float:
    """From the act until it is seen, or with `until` False no longer seen."""
    start = time.perf_counter()
    act()
    while is_seen() is not until:
        time.sleep(0.02)
    return time.perf_counter() - start


def look(page: Page, count: int, text: str) -> None:
    """The tab opened, `text` typed into its search, scrolled."""
    shown = "document.querySelectorAll('.cards .card').length"
    opened = []
    for _ in range(TIMES):
        page.get_by_role("tab", name="Studio").click()
        page.wait_for_timeout(300)
        start = time.perf_counter()
        page.get_by_role("tab", name="LoRAs").click()
        page.wait_for_function(f"{shown} > 0 && document.querySelector('.cards .card').offsetParent")
        opened.append(1000 * (time.perf_counter() - start))
    print(f"tab with {count} models opened:", spread(opened))
    print(f"cards in the page: {page.evaluate(shown)}")
    page.evaluate(KEYS)
    page.click(".catalog .find")
    for _ in range(3):
        page.keyboard.type(text, delay=80)
        for _ in text:
            page.keyboard.press("Backspace", delay=40)
    print("key to paint in the search:", spread(page.evaluate("window.took")))
    page.wait_for_timeout(500)
    print("frame while scrolling by 120 pixels a frame:", spread(page.evaluate(SCROLL, ".cards")))


def change(page: Page, settings: Settings, client: Client) -> None:
    """A file added and removed: in the open page and through the API."""
    fresh = settings.loras / "zz fresh.safetensors"
    page.fill(".catalog .find", "zz fresh")

    def in_page() -> bool:
        return page.locator(".cards .card").count() > 0

    def in_api() -> bool:
        return any(lora["name"] == "zz fresh" for lora in client.predict(api_name="/loras"))

    def write() -> None:
        write_lora(fresh, 0, rank=4)

    for name, is_seen in (("page", in_page), ("API", in_api)):
        added, removed = [], []
        for _ in range(TIMES):
            added.append(seconds(write, is_seen))
            removed.append(seconds(fresh.unlink, is_seen, until=False))
        print(f"file added, seen in the {name}:", spread(added, "s", 2))
        print(f"file removed, seen in the {name}:", spread(removed, "s", 2))


def main(arguments: Sequence[str]) -> int:
    from gradio_client import Client

    command = parser("catalog-page", __doc__)
    command.add_argument("--loras", type=int, default=500, help="how many (default 500)")
    command.add_argument(
        "--foreign", type=int, default=0, metavar="N", help="and N models in other programs' folders"
    )
    asked = command.parse_args(arguments)
    begin()
    with (
        tempfile.TemporaryDirectory(prefix="webbduck-trees-") as folder,
        temporary_settings(
            models_from=tuple(write_trees(Path(folder), asked.foreign, write_lora)) if asked.foreign else ()
        ) as settings,
    ):
        fill(settings, asked.loras)
        with studio(settings) as server, chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            start = time.perf_counter()
            page.goto(server.url)
            page.wait_for_function("window.webbduck?.form?.state()")
            print(f"usable page: {time.perf_counter() - start:.2f} s")
            page.wait_for_timeout(10_000)  # torch, which the studio loads meanwhile
            look(page, asked.loras + asked.foreign, "shelf 12" if asked.foreign else "style 0123")
            change(page, settings, Client(server.url, verbose=False))
    return 0
