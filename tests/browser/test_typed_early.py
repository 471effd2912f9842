"""What is typed while the page's modules are still on their way stays."""

from __future__ import annotations

from playwright.sync_api import Browser, Route, expect
from windows import PATIENCE, WIDE


def test_what_is_typed_before_the_modules_come_is_kept(chromium: Browser, studio) -> None:
    context = chromium.new_context(**WIDE)
    context.set_default_timeout(PATIENCE)
    held: list[Route] = []
    is_ready = False

    def hold(route: Route) -> None:
        if is_ready:
            route.continue_()
        else:
            held.append(route)

    context.route("**/modules/**", hold)
    page = context.new_page()
    page.goto(studio.url, wait_until="commit")
    page.locator("#prompt textarea").press_sequentially("a duck")
    page.locator("#steps input").fill("7")
    page.get_by_role("tab", name="Gallery").click()
    page.locator(".g-query").press_sequentially("nosuchword")
    assert held
    is_ready = True
    for route in held:
        route.continue_()
    page.wait_for_function(
        "() => { const form = window.webbduck?.form.state();"
        "return form?.prompt === 'a duck' && form.steps === 7; }"
    )
    expect(page.get_by_text("Nothing matches this search.")).to_be_visible()
    expect(page.locator(".g-query")).to_have_value("nosuchword")
    context.close()
