"""The page in windows of all sizes: the picture is seen, and everything is in reach of mouse and finger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from barriers import violations
from form_page import put_away
from gallery_page import cell, search
from playwright.sync_api import Page, expect
from running import wait_until
from windows import Windows

SHARE = 0.55
"""Of the window's shorter side, that a picture of equal sides takes at least."""
TOUCHED = [(844, 390), (667, 375), (568, 320), (390, 844), (820, 1180), (1180, 820), (960, 600)]
POINTED = [(720, 450), (1440, 500), (1440, 900), (1280, 720)]
UPRIGHT = {"width": 390, "height": 844}
RULES = ("button-name", "color-contrast", "aria-valid-attr-value", "target-size")
"""Those of axe that what is laid out anew could break; all of them take long."""
TOOLS = {
    "Zoom",
    "Compare",
    "Generation settings",
    "Inpaint: paint a mask",
    "Outpaint: extend the picture",
    "Use as input picture",
    "Upscale",
    "Hires fix: redraw it larger",
    "Use its seed",
    "Favourite",
    "Download",
    "Delete (move to the trash)",
}

LOOK = """async () => {
    for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
    const isHit = (node) => {
        node.scrollIntoView({ block: 'nearest', inline: 'nearest' });
        const { x, y, width, height } = node.getBoundingClientRect();
        return node.contains(document.elementFromPoint(x + width / 2, y + height / 2));
    };
    const isShown = (node) => node.checkVisibility();
    const names = (nodes) => nodes.map((node) => node.getAttribute('aria-label') ?? node.textContent);
    const tools = [...document.querySelectorAll('#stage .tool')].filter(isShown);
    const always = [...document.querySelectorAll('#generate, #prompt textarea, .statusline .device')];
    const page = document.documentElement;
    return {
        picture: document.querySelector('#stage img.main').getBoundingClientRect().toJSON(),
        middle: matchMedia(webbduckFacts.layouts.upright).matches ? innerWidth / 2 : null,
        tools: names(tools),
        lost: names([...tools, ...always].filter((node) => !isHit(node))),
        over: [page.scrollWidth - innerWidth, page.scrollHeight - innerHeight],
    };
}"""


@pytest.fixture(scope="module")
def _touched(kept_windows: Windows, studio) -> Page:
    return kept_windows.open(studio.url, viewport=UPRIGHT, has_touch=True, is_mobile=True)


@pytest.fixture
def phone(_touched: Page, kept_windows: Windows) -> Iterator[Page]:
    """A phone held upright, in the Studio; the tests of this file share it."""
    put_away(_touched)
    _touched.set_viewport_size(UPRIGHT)  # type: ignore[arg-type]
    _touched.get_by_role("tab", name="Studio").tap()
    yield _touched
    kept_windows.check()


@pytest.fixture
def made(painted, studio) -> list[str]:
    """The pictures of a finished job, which pages without one of their own show."""
    asked = {"prompt": "layoutword", "width": 128, "height": 128, "steps": 1, "num_images": 2}
    job = studio.services.submit(asked, "generate", None)
    wait_until(lambda: studio.services.store.get(job.id).finished)
    ended = studio.services.store.get(job.id)
    assert len(ended.images) == 2, ended.error
    return list(ended.images)


def shows(page: Page, picture: str) -> None:
    """The page comes to show the picture, and what its job tells is dismissed."""
    page.wait_for_function(
        "id => document.querySelector('#stage img.main:not([hidden])')?.getAttribute('src').endsWith(id)",
        arg=picture,
    )
    page.evaluate("document.querySelectorAll('.notice [aria-label=Dismiss]').forEach((each) => each.click())")


def look(page: Page, size: tuple[int, int]) -> dict[str, Any]:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    return page.evaluate(LOOK)


def expect_all_in_reach(page: Page, size: tuple[int, int]) -> None:
    seen = look(page, size)
    side = min(seen["picture"]["width"], seen["picture"]["height"])
    assert side >= SHARE * min(size), f"at {size} the picture is {side:.0f} px"
    if seen["middle"] is not None:
        middle = seen["picture"]["x"] + seen["picture"]["width"] / 2
        assert middle == pytest.approx(seen["middle"], abs=2), f"at {size} the picture is not in the middle"
    assert seen["lost"] == [], f"at {size} these are covered or cut off"
    assert max(seen["over"]) <= 0, f"at {size} the page scrolls"
    names = set(seen["tools"])
    if "More" in names:
        page.locator(".tool.more").click()
        items = page.locator(".menu:popover-open .menu-item")
        expect(items.first).to_be_focused()
        assert violations(page, f"More at {size}", RULES) == []
        names |= set(items.all_text_contents())
        items.last.click(trial=True)  # fails where it is cut off
        page.keyboard.press("Escape")
        expect(page.locator(".tool.more")).to_be_focused()
    assert names - {"More"} == TOOLS


def test_every_touched_window_shows_its_picture_and_its_tools(phone: Page, made: list[str]) -> None:
    shows(phone, made[-1])
    for size in TOUCHED:
        expect_all_in_reach(phone, size)
        tools = phone.locator("#stage .tool:visible")
        assert all(box["height"] >= 40 for each in tools.all() if (box := each.bounding_box()))
        assert tools.first.evaluate(
            "node => !node.closest('.frame') && getComputedStyle(node).opacity === '1'"
        )


def test_every_pointed_window_shows_its_picture_and_its_tools(kept_page: Page, made: list[str]) -> None:
    shows(kept_page, made[-1])
    try:
        for size in POINTED:
            expect_all_in_reach(kept_page, size)
    finally:
        kept_page.set_viewport_size({"width": 1440, "height": 900})


def test_a_keyboard_leaves_the_picture_and_what_one_types(phone: Page, made: list[str]) -> None:
    shows(phone, made[-1])
    phone.set_viewport_size({"width": 390, "height": 480})
    phone.locator("#prompt textarea").tap()
    expect(phone.locator(".statusline")).to_be_hidden()
    expect(phone.locator("#stage .tools")).to_be_hidden()
    expect(phone.locator("#generate")).to_be_in_viewport(ratio=1)
    box = phone.locator("#stage img.main").bounding_box()
    assert box and box["height"] >= SHARE * 390
    phone.locator("#stage img.main").tap()
    phone.evaluate("document.activeElement.blur()")
    expect(phone.locator("#stage .tools")).to_be_visible()


def test_the_four_first_tools_have_words_and_the_rest_is_in_a_menu(phone: Page, made: list[str]) -> None:
    shows(phone, made[-1])
    words = phone.locator("#stage .tool:visible .word")
    expect(words).to_have_text(["Inpaint", "Use", "Upscale", "Favourite", "More"])
    more = phone.locator(".tool.more")
    more.tap()
    phone.locator(".menu:popover-open").get_by_text("Generation settings").tap()
    expect(phone.get_by_role("group", name="Generation settings")).to_contain_text("layoutword")
    phone.keyboard.press("Escape")
    expect(more).to_be_focused()
    more.tap()
    phone.locator(".menu:popover-open").get_by_text("Compare").tap()
    expect(phone.locator(".frame.comparing")).to_be_visible()
    more.tap()
    phone.locator(".menu:popover-open").get_by_text("Stop: Compare").tap()
    expect(phone.locator(".frame.comparing")).to_have_count(0)


CUT_OFF = """async () => {
    for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
    const names = ['.device-name', '.resume-part', '.links button:not(.elsewhere)'];
    return names.filter((name) => {
        const node = document.querySelector(`.statusline ${name}`);
        const { x, y, width, height } = node.getBoundingClientRect();
        return ![1, width / 2, width - 1].every((at) =>
            node.contains(document.elementFromPoint(x + at, y + height / 2)));
    });
}"""


def cut_off(page: Page, size: tuple[int, int]) -> list[str]:
    """What one does not see wholly of the status line, or cannot press."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    return page.evaluate(CUT_OFF)


def test_the_status_line_has_a_row_only_where_it_says_something(phone: Page, made: list[str], studio) -> None:
    shows(phone, made[-1])
    device, now = phone.locator(".statusline .device-name"), phone.locator(".now-row")
    expect(device).to_be_visible()
    expect(phone.locator(".statusline .queue-part")).to_be_hidden()
    quiet, row = phone.locator(".statusline").bounding_box(), now.bounding_box()
    assert quiet and row and row["y"] <= quiet["y"] + quiet["height"] / 2 <= row["y"] + row["height"]
    studio.services.store.pause()
    try:
        expect(phone.locator(".statusline .queue-part")).to_have_text("Queue empty, paused")
        expect(phone.locator(".statusline .resume-part")).to_be_in_viewport(ratio=1)
        for size in ((390, 844), (568, 320)):
            assert cut_off(phone, size) == []
    finally:
        studio.services.store.resume()
    expect(phone.locator(".statusline .queue-part")).to_be_hidden()


def test_a_phone_is_told_about_no_key_and_about_the_size(phone: Page) -> None:
    expect(phone.locator(".empty ol")).to_contain_text("Press Generate.")
    expect(phone.locator(".empty ol")).not_to_contain_text("Ctrl")
    before = phone.evaluate("webbduck.form.state().width")
    phone.evaluate("webbduck.form.set('width', 2048)")
    warning = phone.locator(".dock-warning")
    expect(warning).to_contain_text("expect repeated subjects")
    expect(warning).to_be_in_viewport(ratio=1)
    phone.locator(".sheet-head").tap()
    expect(warning).to_be_hidden()  # it is said at the size
    expect(phone.locator(".size-warning")).to_be_visible()
    phone.locator(".sheet-head").tap()
    phone.evaluate("width => webbduck.form.set('width', width)", before)
    expect(warning).to_be_hidden()


def test_the_lightbox_can_be_closed_from_its_end(phone: Page, made: list[str]) -> None:
    phone.get_by_role("tab", name="Gallery").tap()
    search(phone, "layoutword")
    cell(phone, made[0]).locator(".open").tap()
    box = phone.locator(".lightbox")
    expect(box.locator(".info .hash")).to_be_attached()
    box.evaluate("node => { node.scrollTop = node.scrollHeight }")
    expect(box.locator(".info .hash")).to_be_in_viewport()
    close = phone.get_by_role("button", name="Close (Esc)")
    expect(close).to_be_in_viewport(ratio=1)
    # On its side: the picture beside what is known about it.
    phone.set_viewport_size({"width": 667, "height": 375})
    picture = box.locator(".g-layer img").first
    phone.wait_for_function(
        """least => {
            const box = document.querySelector('.lightbox .g-layer img').getBoundingClientRect();
            return box.height >= least && box.bottom <= innerHeight;
        }""",
        arg=SHARE * 375,
    )
    expect(picture).to_be_in_viewport(ratio=1)
    expect(box.locator(".info")).to_be_in_viewport()
    close.tap()
    expect(box).to_be_hidden()


@pytest.mark.parametrize("size", [(667, 375), (568, 320), (390, 480)])
def test_the_mask_editor_and_the_sheets_fit_low_windows(
    phone: Page, made: list[str], size: tuple[int, int]
) -> None:
    shows(phone, made[-1])
    phone.set_viewport_size({"width": size[0], "height": size[1]})
    phone.evaluate("document.activeElement.blur()")
    phone.locator(".tool.inpaint").tap()
    editor = phone.locator(".mask-editor")
    for button in editor.get_by_role("button").all():
        button.click(trial=True)
    view = editor.locator(".mask-view").bounding_box()
    assert view and view["height"] >= 0.35 * size[1] and view["width"] >= 0.5 * size[0]
    editor.get_by_role("button", name="Cancel").tap()
    expect(editor).to_have_count(0)
    phone.locator("#toast .close").tap()  # for fifteen seconds it covers what is tried below
    phone.locator(".sheet-head").tap()
    phone.locator(".stack .add").tap()
    expect(phone.locator(".stack .search input")).to_be_in_viewport(ratio=1)
    phone.locator(".stack .search-head .close").tap()
    for control in ("#seed input", ".fold-head >> nth=-1", "#generate"):
        phone.locator(control).click(trial=True)
    phone.locator(".sheet-head").tap()
    phone.evaluate("webbduck.form.set('image', '')")
