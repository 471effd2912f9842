"""The LoRAs tab in the tests."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def open_loras(page: Page) -> None:
    """Open the tab and wait for its script, which answers clicks from then on."""
    page.get_by_role("tab", name="LoRAs").click()
    expect(page.locator(".catalog .count")).not_to_be_empty()
