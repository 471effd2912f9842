"""Buttons that are pressed before the page's scripts have come."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from windows import PATIENCE, WIDE


@pytest.mark.parametrize("late", ["loras/loras.js", "studio/form.js"])
def test_they_are_pressed_once_their_script_has_started(chromium: Browser, studio, late: str) -> None:
    context = chromium.new_context(**WIDE)
    context.set_default_timeout(PATIENCE)
    held: list[Route] = []
    is_late = True

    def hold(route: Route) -> None:
        if is_late:
            held.append(route)
        else:
            route.continue_()

    context.route(f"**/{late}", hold)
    page: Page = context.new_page()
    page.goto(studio.url)
    if late == "loras/loras.js":
        page.get_by_role("tab", name="LoRAs").click()
        pressed = page.get_by_role("button", name="Model folders").first
        outcome = page.get_by_role("dialog", name="Model folders")
    else:
        pressed = page.locator("[data-fold=guidance]")
        outcome = page.locator("[data-fold=guidance][aria-expanded=true]")
    for _ in range(2):  # in vain; the second press does not mean the opposite of the first
        pressed.click()
    expect(outcome).to_have_count(0)
    is_late = False
    for route in held:
        route.continue_()
    expect(outcome).to_be_visible()
    context.close()
