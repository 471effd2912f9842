"""How fast a prompt completes tags: reading their list, the list in the page, and the answer to a key.

Writes a list of that many made-up tags, each with one to three words, aliases and a count as steep as
danbooru's, starts a studio of its own, types into the prompt in Chromium, and prints medians. From a key to
its list: the page's own work, until the list stands in the document; to paint: until the browser has drawn
it. The CPU seconds tell more where other programs run beside it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.completion import Words, complete
from ..models.tags import TagLibrary
from ..settings import Settings
from .common import begin, chromium, parser, spread, studio, temporary_settings, timed

if TYPE_CHECKING:
    from playwright.sync_api import Page

SYLLABLES = [first + rest for first in "bcdghklmnrst" for rest in ("a", "e", "i", "o", "ue", "on", "air")]
CATEGORIES = (0,) * 6 + (1, 3, 4, 4)
TYPED = ("lon hair", "blue er", "a photo of a cat in red", "xylophone", "(shira", "eye on")
"""Some are in no tag, or go on as no tag does."""
KEYS = """() => {
    window.listed = [];
    window.painted = [];
    let begun = 0;
    const isPrompt = (event) => event.target.closest?.('#prompt');
    window.addEventListener('input', (event) => { if (isPrompt(event)) begun = performance.now(); }, true);
    window.addEventListener('input', (event) => {
        if (!isPrompt(event)) return;
        window.listed.push(performance.now() - begun);
        requestAnimationFrame(() => setTimeout(() => window.painted.push(performance.now() - begun)));
    });
}"""


FETCHED = """() => performance.getEntriesByType('resource')
    .find((each) => each.name.includes('/tags/')).duration"""


def write_tags(path: Path, count: int) -> None:
    """The same tags in each run."""
    draw = random.Random(7)

    def name() -> str:
        return "_".join(
            "".join(draw.choices(SYLLABLES, k=draw.randint(1, 3))) for _ in range(draw.randint(1, 3))
        )

    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            aliases = ",".join(f"{name()}{number}" for _ in range(draw.choice((0, 0, 1, 2))))
            uses = 6_000_000 // (number + 1) + 40
            file.write(f'{name()}_{number},{draw.choice(CATEGORIES)},{uses},"{aliases}"\n')


def read(settings: Settings) -> None:
    """The list read on the server, and searched there as /complete does."""
    library = TagLibrary(settings)
    tags, took = timed(library.tags)
    print(f"list read: {tags.count:,} tags in {took.clock:.2f} s, CPU {took.work:.2f} s")
    _, took = timed(lambda: tags.compressed)
    print(
        f"list for the page: {len(tags.text.encode()) / 2**20:.1f} MiB, compressed "
        f"{len(tags.compressed) / 2**20:.1f} MiB in {took.clock:.2f} s, CPU {took.work:.2f} s"
    )
    words = Words(tags=tags)
    answered = []
    for text in TYPED:
        for end in range(1, len(text) + 1):
            begun = time.thread_time()
            complete(text[:end], end, words)
            answered.append(1000 * (time.thread_time() - begun))
    print("CPU of an answer of /complete:", spread(answered))


def type_words(page: Page, times: int) -> None:
    page.evaluate(KEYS)
    for _ in range(times):
        for text in TYPED:
            page.fill("#prompt textarea", "")
            page.keyboard.type(text, delay=60)
    page.wait_for_timeout(200)
    print("key to list in the page:", spread(page.evaluate("window.listed")))
    print("key to paint:", spread(page.evaluate("window.painted")))


def main(arguments: Sequence[str]) -> int:
    command = parser("completion", __doc__)
    command.add_argument("--tags", type=int, default=100_000, help="how many (default 100,000)")
    command.add_argument("--times", type=int, default=3, help="how often the words are typed (default 3)")
    command.add_argument("--no-page", action="store_true", help="only what needs no browser")
    asked = command.parse_args(arguments)
    begin()
    with temporary_settings(preload=False) as plain:
        settings = Settings(**{**vars(plain), "tags": plain.outputs.parent / "tags"})
        settings.tags.mkdir()
        write_tags(settings.tags / "made up.csv", asked.tags)
        read(settings)
        if asked.no_page:
            return 0
        with studio(settings) as server, chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            with page.expect_response(lambda answer: "/tags/" in answer.url) as answered:
                page.goto(server.url)
            answered.value.finished()
            print(f"list in the page: fetched in {page.evaluate(FETCHED) / 1000:.2f} s")
            page.wait_for_function("window.webbduck?.form?.state()")
            page.wait_for_timeout(3000)  # what the page does after its start
            type_words(page, asked.times)
    return 0
