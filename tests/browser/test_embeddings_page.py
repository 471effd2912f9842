"""Embeddings in the page: they appear as cards, and a press puts the name into a prompt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from barriers import violations
from embedding_files import for_sdxl, of_words
from form_page import expect_form
from loras_page import open_loras
from playwright.sync_api import Page, expect
from running import STARTER, wait_until


@pytest.fixture(scope="module")
def folder(studio) -> Iterator[Path]:
    """`moods/calm pond` (four tokens) and one that is too large for the starter."""
    root: Path = studio.settings.checkpoints / "embedding"
    starter = studio.settings.checkpoints / "sdxl" / STARTER
    of_words(starter, root / "moods" / "calm pond.safetensors", "a pond at sunset")
    for_sdxl(root / "alien.safetensors")
    yield root
    for path in root.rglob("*.safetensors"):
        path.unlink()
    wait_until(lambda: not studio.services.registry.embeddings())


def open_cards(page: Page) -> None:
    open_loras(page)
    page.get_by_role("button", name="Embeddings", exact=True).click()
    # What the checkpoint can use comes first.
    expect(page.locator(".embeddings h3")).to_have_text(["moods/calm pond", "alien"])


def test_from_the_card_into_the_prompts(kept_page: Page, folder: Path) -> None:
    kept_page.fill("#prompt textarea", "a duck,")
    open_cards(kept_page)
    alien = kept_page.get_by_role("article", name="alien")
    expect(alien).to_contain_text(f"Made for SDXL of another size; {STARTER} cannot use it.")
    expect(alien.get_by_role("button")).to_have_count(0)
    pond = kept_page.get_by_role("article", name="moods/calm pond")
    expect(pond).to_contain_text("4 tokens")
    assert violations(kept_page, "embeddings") == []
    pond.get_by_role("button", name="Put moods/calm pond into the prompt").press("Enter")
    expect_form(kept_page, prompt="a duck, calm pond")
    expect(kept_page.locator(".prompt-box .counter, .counter").first).to_have_text("7 / 75")
    open_cards(kept_page)
    kept_page.fill(".catalog .find", "calm")
    expect(kept_page.locator(".embeddings h3")).to_have_text(["moods/calm pond"])
    pond.get_by_role("button", name="Put moods/calm pond into the prompt").click()
    expect(kept_page.locator("#toast")).to_contain_text("calm pond is in the prompt already.")
    expect_form(kept_page, prompt="a duck, calm pond")


def test_on_a_phone(window, folder: Path) -> None:
    page = window(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    open_cards(page)
    use = page.get_by_role("button", name="Put moods/calm pond into the negative prompt")
    box = use.bounding_box()
    assert box is not None and box["height"] >= 40 and box["width"] >= 40
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(page, "embeddings on a phone") == []
    use.tap()
    expect_form(page, negative_prompt="calm pond")
