"""A list of many models: only its first cards are in the page, until the others are wanted."""

from __future__ import annotations

import re
import shutil

import foreign_trees
from loras_page import open_loras
from playwright.sync_api import Page, expect
from running import wait_until

MANY = 130


def test_more_cards_come_when_they_are_wanted(page: Page, studio) -> None:
    registry, folder = studio.services.registry, studio.settings.loras / "many"
    before = len(registry.loras())
    for number in range(MANY):
        foreign_trees.lora(folder / f"ink {number:03}.safetensors")
    try:
        wait_until(lambda: len(registry.loras()) == before + MANY)
        open_loras(page)
        page.fill(".catalog .find", "many/ink")
        cards = page.locator(".cards .card")
        expect(page.locator(".catalog .count")).to_have_text(re.compile(rf"^{MANY}\b"))
        expect(cards).to_have_count(120)
        page.get_by_role("button", name="Show more (10)").click()
        expect(cards).to_have_count(MANY)
        expect(page.locator(".more-cards")).to_have_count(0)
        page.fill(".catalog .find", "many/ink 12")
        expect(cards).to_have_count(10)
    finally:
        shutil.rmtree(folder)
        wait_until(lambda: len(registry.loras()) == before)
