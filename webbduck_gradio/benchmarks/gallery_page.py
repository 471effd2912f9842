"""How fast the Gallery tab is in a browser: opening it, searching, scrolling.

Fills a folder as the benchmark `gallery` does (--folder is kept, and used again when it is filled already),
starts a studio on it, and times in the page, from the press to what can be seen.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import begin, chromium, parser, percentile, spread, studio, temporary_settings
from .gallery import fill

if TYPE_CHECKING:
    from playwright.sync_api import Page

SEARCHES = (
    "castle", "size:832x1024", "seed:1", "model:checkpoint-3", "red duck", "masterpiece -duck",
    "lora:style-7 goose", "date:2025", '"golden harbour"', "nothinglikethis", "",
)  # fmt: skip
ORDERS = ("picture_size", "file_size", "prompt", "checkpoint", "oldest", "newest")
WATCH = """() => {
  const $ = (selector) => document.querySelector(selector);
  const seen = () => {
    const around = $('.g-scroll').getBoundingClientRect();
    return [...document.querySelectorAll('.g-canvas .cell')].filter((cell) => {
      const box = cell.getBoundingClientRect();
      return box.bottom > around.top && box.top < around.bottom && box.width;
    });
  };
  const found = () => {
    const canvas = $('.g-canvas');
    if (!canvas || canvas.getAttribute('aria-busy') === 'true') return false;
    const cells = seen();
    return cells.length ? cells.every((cell) => cell.dataset.id) : Boolean($('.g-nothing'));
  };
  const there = (cell) => cell.querySelector('img.there, .broken');
  /* Milliseconds from `act` until the entries are there, until the first picture, until all in view. */
  window.timeOf = (act) => new Promise((done) => {
    const start = performance.now(), times = {};
    act();
    const look = () => {
      const now = performance.now() - start;
      if (times.entries === undefined && found()) times.entries = now;
      if (times.entries !== undefined) {
        const cells = seen();
        if (times.first === undefined && (!cells.length || cells.some(there))) times.first = now;
        if (cells.every(there)) return done({ ...times, all: now, cells: cells.length });
      }
      if (now > 60000) return done(times);
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  window.framesWhile = (act) => new Promise((done) => {
    const gaps = [];
    let last = performance.now(), going = true;
    act().then(() => { going = false; });
    const step = () => {
      const now = performance.now();
      gaps.push(now - last);
      last = now;
      if (going) requestAnimationFrame(step); else done(gaps.sort((a, b) => a - b));
    };
    requestAnimationFrame(step);
  });
}"""
SEARCH = """(text) => timeOf(() => {
  const box = document.querySelector('.g-query');
  box.value = text;
  box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
})"""
ORDER = """(name) => timeOf(() => {
  const box = document.querySelector('select[aria-label=Order]');
  box.value = name;
  box.dispatchEvent(new Event('change', { bubbles: true }));
})"""
JUMP = """(share) => timeOf(() => {
  const box = document.querySelector('.g-scroll');
  box.scrollTop = (box.scrollHeight - box.clientHeight) * share;
})"""
WHEEL = """(by) => framesWhile(() => new Promise((done) => {
  const box = document.querySelector('.g-scroll');
  let turns = 0;
  const turn = () => {
    box.scrollTop += by;
    turns += 1;
    if (turns < 120) requestAnimationFrame(turn); else done();
  };
  turn();
}))"""


def shown(times: dict[str, Any]) -> str:
    return (
        f"entries {times.get('entries', -1):.0f} ms, first picture {times.get('first', -1):.0f} ms, "
        f"all {times.get('cells', 0)} in view {times.get('all', -1):.0f} ms"
    )


def frames(gaps: list[float]) -> str:
    return (
        f"frames: median {statistics.median(gaps):.0f} ms, 95 % {percentile(gaps, 0.95):.0f} ms, "
        f"worst {gaps[-1]:.0f} ms, {sum(gap > 50 for gap in gaps)} of {len(gaps)} above 50 ms"
    )


def measure(page: Page, shots: Path | None) -> None:
    def shoot(name: str) -> None:
        if shots:
            page.screenshot(path=shots / f"{name}.png")

    opening = "() => timeOf(() => webbduck.openTab('gallery'))"
    print("opened for the first time:", shown(page.evaluate(opening)), flush=True)
    for _ in range(3):
        page.reload()
        page.wait_for_function("window.webbduck?.form?.state()")
        page.wait_for_timeout(1500)
        page.evaluate(WATCH)
        print("opened again:", shown(page.evaluate(opening)), flush=True)
        page.wait_for_timeout(500)
    shoot("opened")
    for text in SEARCHES:
        times = shown(page.evaluate(SEARCH, text))
        page.wait_for_timeout(200)
        print(f"search {text!r}: {times}; {page.inner_text('.g-count')}", flush=True)
    again = sorted(page.evaluate(SEARCH, text)["entries"] for text in SEARCHES * 4)
    print(f"{len(again)} searches once more, entries: {spread(again, digits=0)}", flush=True)
    for name in ORDERS:
        print(f"order {name}:", shown(page.evaluate(ORDER, name)), flush=True)
        shoot(f"order-{name}")
    for view in ("Runs", "Single"):
        page.get_by_role("button", name=view, exact=True).click()
        page.wait_for_timeout(1500)
        for share in (0.5, 1, 0.25, 0):
            print(f"{view}, to {share:.0%}:", shown(page.evaluate(JUMP, share)), flush=True)
            shoot(f"{view}-{share}")
        for by in (40, 120, 400):
            print(f"{view}, {by} px a frame,", frames(page.evaluate(WHEEL, by)), flush=True)
            page.wait_for_timeout(1000)


def main(arguments: Sequence[str]) -> int:
    command = parser("gallery-page", __doc__)
    command.add_argument("--images", type=int, default=100_000)
    command.add_argument("--folder", type=Path)
    command.add_argument("--shots", type=Path, help="put screenshots here")
    options = command.parse_args(arguments)
    begin()
    given = {"outputs": options.folder} if options.folder else {}
    with temporary_settings(**given) as settings:
        if not any(settings.outputs.glob("2*")):
            fill(settings.outputs, options.images)
        start = time.perf_counter()
        with studio(settings) as server, chromium() as browser:
            while not server.services.outputs.complete:
                time.sleep(0.5)
            count, seconds = server.services.outputs.count(), time.perf_counter() - start
            print(f"{count:,} pictures, complete {seconds:.1f} s after the start", flush=True)
            page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="dark")
            page.set_default_timeout(120_000)
            page.goto(server.url)
            page.wait_for_function("window.webbduck?.form?.state()")
            page.wait_for_timeout(3000)  # torch is loaded meanwhile
            page.evaluate(WATCH)
            measure(page, options.shots)
    return 0
