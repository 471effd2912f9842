"""Opens the studio in Chromium."""

from __future__ import annotations

from functools import partial
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

PATIENCE = 300_000
"""Milliseconds; the first picture waits for torch, which a loaded machine takes long to import."""

WIDE: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"}


class Windows:
    """Opens pages of the studio, each in a browser of its own, and keeps the errors of their scripts."""

    def __init__(self, chromium: Browser):
        self._chromium = chromium
        self._contexts: list[BrowserContext] = []
        self._errors: list[str] = []

    def open(self, url: str, script: str = "", **options: Any) -> Page:
        """`script` runs before the page's own ones."""
        context = self._chromium.new_context(**options)
        self._contexts.append(context)
        context.add_init_script(script)
        context.set_default_timeout(PATIENCE)
        tab = context.new_page()
        # Twenty times a second, not in each frame, which it would make the page draw.
        tab.wait_for_function = partial(tab.wait_for_function, polling=50)  # type: ignore[method-assign]
        tab.on("pageerror", lambda error: self._errors.append(str(error)))
        tab.goto(url)
        tab.wait_for_selector(".statusline .device", state="attached")  # an address may open another tab
        tab.wait_for_function(
            "window.webbduck?.form.state()"
        )  # its values have come; before, they would undo ours
        return tab

    def check(self) -> None:
        errors, self._errors = self._errors, []
        assert errors == [], errors

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        self.check()
