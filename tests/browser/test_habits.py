"""Keys, and what a person needs who has only them or listens to the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from running import wait_until

DONE = ".now[data-state=completed]"
MOST_TABS = 150


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus, which must be seen on the way."""
    for _ in range(MOST_TABS):
        focus = page.evaluate(
            """selector => {
                const node = document.activeElement;
                if (node === document.body) return { there: false, outlined: true };  // round the end
                const seen = node.closest('label:has(:focus-visible), .wrap:has(:focus-visible)') ?? node;
                const outlined = [node, seen].some((each) => getComputedStyle(each).outlineStyle !== 'none');
                return { there: node.matches(selector), outlined, what: node.outerHTML.slice(0, 200) };
            }""",
            selector,
        )
        assert focus["outlined"], f"no visible focus on {focus['what']}"
        if focus["there"]:
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab never reaches {selector}")


def test_the_whole_way_by_keyboard_alone(page: Page, studio) -> None:
    keys = page.keyboard
    # The prompt has the focus when the page opens.
    keys.type("a duck made by keyboard alone")
    keys.press("Control+Enter")
    page.wait_for_selector(DONE)
    expect(page.locator("img.main")).to_have_attribute("alt", "a duck made by keyboard alone")
    page.wait_for_function(
        "document.querySelector('img.main').getAttribute('src').startsWith('media/image/')"
    )
    picture = page.get_attribute("img.main", "src")
    assert picture
    image_id = picture.removeprefix("media/image/")
    tab_to(page, ".tool.zoom")
    keys.press("Enter")
    expect(page.locator(".viewer img")).to_be_visible()
    keys.press("+")
    keys.press("Escape")
    expect(page.locator(".viewer")).to_have_count(0)
    tab_to(page, ".tool.delete")
    keys.press("Enter")
    expect(page.locator("#toast")).to_contain_text("Moved to the trash")
    assert not (studio.settings.outputs / image_id).exists()
    tab_to(page, "#toast button")
    keys.press("Enter")
    expect(page.locator("img.main")).to_have_attribute("src", picture)
    assert (studio.settings.outputs / image_id).is_file()


def test_shortcut_keys(page: Page, studio, painted: None) -> None:
    area = page.locator("#prompt textarea")
    area.fill("a red duck on a pond")
    area.evaluate("node => node.setSelectionRange(2, 10)")
    area.press("Control+ArrowUp")
    area.press("Control+ArrowUp")
    expect(area).to_have_value("a (red duck:1.2) on a pond")
    for _ in range(2):
        area.press("Control+ArrowDown")
    expect(area).to_have_value("a red duck on a pond")
    area.press("Control+ArrowDown")
    area.press("Control+z")
    expect(area).to_have_value("a red duck on a pond")

    area.press("End")
    area.press("?")
    expect(area).to_have_value("a red duck on a pond?")
    page.locator("#dice").press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    page.locator("#dice").press("/")
    expect(area).to_be_focused()

    page.fill("#steps input", "150")
    page.fill("#batch input", "8")
    page.locator("#batch input").press("Control+Enter")
    page.wait_for_selector(".now[data-state=running]")
    # Escape closes what is open before it cancels anything.
    page.get_by_role("button", name="Presets", exact=True).click()
    expect(page.locator(".menu:popover-open")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".menu:popover-open")).to_have_count(0)
    page.click("#sampler input")
    expect(page.get_by_role("option", name="Euler a", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("option", name="Euler a", exact=True)).to_be_hidden()
    assert studio.services.store.running()
    wait_until(lambda: page.locator(".now .cancel").is_enabled())
    page.keyboard.press("Escape")
    page.wait_for_selector(".now[data-state=cancelled]")


HEARD = """
window.heard = [];
window.Notification = class {
    static permission = 'default';
    static async requestPermission() { return 'granted'; }
    constructor(title, options) { window.heard.push([title, options.body]); }
    close() {}
};
document.hasFocus = () => false;
if (!localStorage.getItem('webbduck-view')) localStorage.setItem('webbduck-view', '{"long": 0}');
"""
"""A system that allows notifications, a person who looks elsewhere, and a job that counts as long at once."""


def test_a_notification_when_a_long_job_ends_for_who_wants_it(window) -> None:
    page = window(script=HEARD, viewport={"width": 1440, "height": 900})

    def make(prompt: str) -> None:
        page.fill("#prompt textarea", prompt)
        page.fill("#steps input", "2")
        page.click("#generate")
        page.wait_for_function(
            "prompt => webbduck.last.get('jobs').recent.some(job => job.request.prompt === prompt)",
            arg=prompt,
        )

    make("a duck that ends in silence")
    page.get_by_role("button", name="View", exact=True).click()
    page.get_by_label("Notify me when a job").check()
    page.keyboard.press("Escape")
    make("a duck that calls")
    page.wait_for_function("window.heard.length")
    page.reload()  # it is remembered, and what has been told is not told again
    page.wait_for_function("window.webbduck?.form?.state()")
    make("a duck that calls again")
    page.wait_for_function("window.heard.length")
    ((title, body),) = page.evaluate("window.heard")
    assert title.startswith("WebbDuck: Done in") and body == "a duck that calls again"
