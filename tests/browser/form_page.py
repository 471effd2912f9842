"""Pages of the studio, and what the tests read of its form."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

PATIENCE = 300_000
"""Milliseconds; the first picture waits for torch, which a loaded machine takes long to import."""


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
        tab.on("pageerror", lambda error: self._errors.append(str(error)))
        tab.goto(url)
        tab.wait_for_selector(".statusline .device")
        tab.wait_for_function(
            "window.webbduck?.form.state()"
        )  # its values have come; before, they would undo ours
        return tab

    def check(self) -> None:
        errors, self._errors = self._errors, []
        assert errors == []

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        self.check()


def put_away(page: Page) -> None:
    """Close what is open over the page, and forget the last message, which would be taken for the next."""
    for _ in range(page.locator("dialog[open]").count()):
        page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.evaluate(
        """() => {
            const toast = document.querySelector('#toast');
            toast?.replaceChildren();
            if (toast) toast.hidden = true;
        }"""
    )


def unfold_all(page: Page) -> None:
    """Open all collapsible groups."""
    page.evaluate("webbduckFacts.folds.forEach((name) => webbduck.form.unfold(name))")


def expect_form(page: Page, **wanted: Any) -> None:
    """The form comes to have these values; Gradio tells the page's scripts of them after it shows them."""
    page.wait_for_function(
        """wanted => Object.entries(wanted).every(([name, value]) =>
            JSON.stringify(webbduck.form.state()[name] ?? null) === JSON.stringify(value ?? null))""",
        arg=wanted,
    )
