"""The status line's link that frees memory."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def test_free_memory_says_what_it_did(page: Page) -> None:
    link = page.locator(".statusline .free")
    expect(link).to_have_text("Free memory")
    link.click()
    expect(link).to_have_text(re.compile("Memory freed|Nothing was loaded"))
    expect(link).to_have_text("Free memory", timeout=60_000)
