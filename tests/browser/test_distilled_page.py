"""One press for the settings of a distilled model; a hires pass that is beyond a checkpoint's size."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from barriers import violations
from form_page import expect_form
from lora_files import make_lora
from playwright.sync_api import Page, expect
from running import STARTER, wait_until

RULES = ("label", "button-name", "color-contrast")
NAME = "sdxl_lightning_8step"


@pytest.fixture
def fast_lora(studio) -> Iterator[str]:
    path = studio.settings.loras / f"{NAME}.safetensors"
    make_lora(path, studio.settings.checkpoints / "sdxl" / STARTER)
    wait_until(lambda: studio.services.registry.has_lora(NAME))
    yield NAME
    path.unlink()


def test_one_press_and_back_again(page: Page, fast_lora: str) -> None:
    note = page.locator(".distilled.notice")
    page.fill("#steps input", "20")
    expect(note).to_be_hidden()
    page.fill("#prompt textarea", f"a duck <lora:{fast_lora}:1>")
    expect(note).to_contain_text(f"{fast_lora} looks like a Lightning LoRA (by its name).")
    assert violations(page, "suggestion for a distilled LoRA", RULES) == []

    page.get_by_role("button", name="Use 8 steps, CFG 1, Euler, SGM Uniform").press("Enter")
    expect_form(page, steps=8, cfg=1, sampler="Euler", schedule="SGM Uniform")
    expect(note).to_be_hidden()
    page.get_by_role("button", name="Undo").press("Enter")
    expect_form(page, steps=20, cfg=5, schedule="Uniform")
    expect(note).to_be_visible()
    note.get_by_role("button", name="Dismiss").click()
    expect(note).to_be_hidden()
    page.fill("#steps input", "21")
    expect_form(page, steps=21)
    expect(note).to_be_hidden()


def test_a_hires_pass_beyond_the_checkpoint(page: Page) -> None:
    warning = page.locator(".size-warning")
    expect(warning).to_be_hidden()
    page.evaluate("webbduck.form.set('hires_scale', 4)")
    expect(warning).to_contain_text("The hires pass: 1024 × 1024 px is larger than the")
    page.evaluate("webbduck.form.set('hires_scale', '')")
    expect(warning).to_be_hidden()
