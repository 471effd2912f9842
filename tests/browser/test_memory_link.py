"""The status line's link that frees memory."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def test_free_memory_says_what_it_did(page: Page) -> None:
    page.locator(".statusline .free").click()
    said = page.get_by_text(re.compile("The models were unloaded|No model was loaded"))
    expect(said).to_be_visible()
