"""What the tests read of the studio's form."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect


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


def choose(page: Page, name: str, entry: str | re.Pattern[str]) -> None:
    """Choose an entry, by its text or by a pattern of it, of the list of this name."""
    page.get_by_role("combobox", name=name, exact=True).click()
    page.get_by_role("option", name=entry, exact=True).click()


def expect_form(page: Page, **wanted: Any) -> None:
    """The form comes to have these values; Gradio tells the page's scripts of them after it shows them."""
    page.wait_for_function(
        """wanted => Object.entries(wanted).every(([name, value]) =>
            JSON.stringify(webbduck.form.state()[name] ?? null) === JSON.stringify(value ?? null))""",
        arg=wanted,
    )
