"""Words completed while they are typed: by keyboard, by touch on a phone, and switched off."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from barriers import faint_borders, violations
from playwright.sync_api import Browser, Locator, Page, expect
from running import free_port, studio_settings, wait_until
from windows import Windows

from webbduck_gradio.settings import HOME
from webbduck_gradio.web.server import StudioServer

sys.path.append(str(HOME / "tests" / "jobs"))
from painter import Painter

KNOWN = """1girl,0,6008644,"1girls,sole_female"
long_hair,0,4350743,"/lh,longhair"
looking_at_viewer,0,3000000,
love_live!,3,80000,
logo,5,60000,
hatsune_miku_(cosplay),4,900,
lone_painter,1,90,
"""
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    root = tmp_path_factory.mktemp("completion")
    settings = studio_settings(root, starter_checkpoints, port=free_port())
    settings.tags.mkdir()
    more = "\n".join(f"{'ab'[number % 2]}_tag_{number},0,{number}," for number in range(2000))
    (settings.tags / "danbooru.csv").write_text(KNOWN + more)
    settings.wildcards.mkdir()
    (settings.wildcards / "colours.txt").write_text("red\nblue")
    server = StudioServer(settings)
    server.services.worker.context.make_generator = Painter
    server.start()
    yield server
    server.close()


@pytest.fixture
def windows(chromium: Browser) -> Iterator[Windows]:
    windows = Windows(chromium)
    yield windows
    windows.close()


def opened(windows: Windows, url: str, **options: object) -> tuple[Page, Locator, Locator]:
    """The page with its tags, the prompt, and the list."""
    page = windows.open(url, **options)
    prompt, listed = page.locator("#prompt textarea"), page.locator(".completions")
    type_until_offered(prompt, listed, "1gi", "1girl")
    prompt.fill("")
    return page, prompt, listed


def type_until_offered(prompt: Locator, listed: Locator, text: str, label: str) -> None:
    """Type the text into the empty prompt again and again: the page may still be fetching the list."""

    def is_offered() -> bool:
        prompt.fill("")
        prompt.press_sequentially(text)
        return listed.locator(".label").all_text_contents()[:1] == [label]

    wait_until(is_offered)


def test_by_keyboard(windows: Windows, server: StudioServer) -> None:
    url = f"{server.url}/?__theme=light"
    page, prompt, listed = opened(windows, url, viewport={"width": 1440, "height": 900})
    prompt.press_sequentially("lo")
    expect(listed.locator(".label")).to_have_text(
        ["long hair", "looking at viewer", "love live!", "logo", "lone painter"]
    )
    expect(listed).to_have_attribute("aria-label", "Tags")
    assert not violations(page, "tags in the light theme")

    # Nothing is marked, so that Enter is a new line.
    expect(prompt).not_to_have_attribute("aria-activedescendant", "completion-0")
    prompt.press("Enter")
    expect(prompt).to_have_value("lo\n")
    prompt.press_sequentially("lo")
    prompt.press("ArrowDown")
    prompt.press("ArrowDown")
    expect(listed.get_by_role("option", selected=True)).to_contain_text("looking at viewer")
    prompt.press("Enter")
    expect(prompt).to_have_value("lo\nlooking at viewer, ")
    expect(listed).to_be_hidden()

    prompt.press_sequentially("sole")
    expect(listed.locator(".label")).to_have_text(["sole female → 1girl"])
    prompt.press("Tab")
    expect(prompt).to_have_value("lo\nlooking at viewer, 1girl, ")
    expect(prompt).to_be_focused()
    prompt.press_sequentially("(mik")
    prompt.press("Tab")
    expect(prompt).to_have_value("lo\nlooking at viewer, 1girl, (hatsune miku \\(cosplay\\)")
    expect(listed).to_be_hidden()
    prompt.press("ControlOrMeta+z")
    expect(prompt).to_have_value("lo\nlooking at viewer, 1girl, (mik")

    # A sign that asks for a kind marks the first, in the other prompts, too.
    negative = page.locator("#negative textarea")
    negative.press_sequentially("__")
    expect(listed.get_by_role("option", selected=True)).to_contain_text("colours")
    negative.press("Enter")
    expect(negative).to_have_value("__colours__")


def test_switched_off_and_a_new_list(windows: Windows, server: StudioServer) -> None:
    url = f"{server.url}/?__theme=dark"
    page, prompt, listed = opened(windows, url, viewport={"width": 1440, "height": 900})
    prompt.press_sequentially("lon")
    assert not violations(page, "tags in the dark theme")
    page.get_by_role("button", name="View", exact=True).click()
    page.get_by_role("button", name="Completion while typing").click()
    dialog = page.get_by_role("dialog", name="Completion while typing")
    expect(dialog).to_contain_text("2,007 tags are completed.")
    assert not violations(page, "what is completed") and not faint_borders(page)
    dialog.get_by_label("Keep underscores in tags").check()
    (server.settings.tags / "own.csv").write_text("lonely_duck,0,9999999,")
    expect(dialog).to_contain_text("own.csv 1 tag")
    page.keyboard.press("Escape")
    type_until_offered(prompt, listed, "lone", "lonely duck")
    prompt.press("Tab")
    expect(prompt).to_have_value("lonely_duck, ")
    page.get_by_role("button", name="View", exact=True).click()
    page.get_by_role("button", name="Completion while typing").click()
    dialog.get_by_role("checkbox", name="Tags from").uncheck()
    page.keyboard.press("Escape")
    prompt.press_sequentially("__co")
    expect(listed.locator(".label")).to_have_text(["colours"])
    prompt.press("Escape")
    prompt.press_sequentially(", long")
    expect(prompt).to_have_value("lonely_duck, __co, long")
    expect(listed).to_be_hidden()


def test_by_touch_on_a_phone(windows: Windows, server: StudioServer) -> None:
    page, prompt, listed = opened(windows, server.url, **PHONE)

    def lies_above() -> bool:
        """Each key places the list anew; the page may still move its parts while it opens."""
        prompt.fill("")
        prompt.press_sequentially("a_")
        expect(listed.get_by_role("option")).to_have_count(30)
        where, below = listed.bounding_box(), prompt.bounding_box()
        return bool(where and below and where["y"] >= 0 and where["y"] + where["height"] <= below["y"])

    wait_until(lies_above)
    heights = listed.get_by_role("option").evaluate_all("all => all.map(each => each.offsetHeight)")
    assert min(heights) >= 40
    assert listed.evaluate("each => each.scrollHeight > each.clientHeight")
    prompt.press_sequentially("tag 100")
    expect(listed.get_by_role("option").first).to_contain_text("1008")
    listed.get_by_role("option").first.tap()
    expect(prompt).to_have_value("a tag 1008, ")
    expect(prompt).to_be_focused()
    assert not violations(page, "completion on a phone")
