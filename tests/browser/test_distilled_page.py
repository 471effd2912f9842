"""What the form says of the chosen models: settings of a distilled one, a size beyond it, a missing VAE."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from barriers import violations
from form_page import choose, expect_form, unfold_all
from lora_files import make_lora
from model_files import SDXL, save
from playwright.sync_api import Page, expect
from running import STARTER, wait_until

RULES = ("label", "button-name", "color-contrast")
NAME = "sdxl_lightning_8step"
VAE = "first_stage_model."


@pytest.fixture
def fast_lora(studio) -> Iterator[str]:
    path = studio.settings.loras / f"{NAME}.safetensors"
    make_lora(path, studio.settings.checkpoints / "sdxl" / STARTER)
    wait_until(lambda: studio.services.registry.has_lora(NAME))
    yield NAME
    path.unlink()


def test_one_press_and_back_again(kept_page: Page, fast_lora: str) -> None:
    note = kept_page.locator(".distilled.notice")
    kept_page.fill("#steps input", "20")
    expect(note).to_be_hidden()
    kept_page.fill("#prompt textarea", f"a duck <lora:{fast_lora}:1>")
    expect(note).to_contain_text(f"{fast_lora} looks like a Lightning LoRA (by its name).")
    assert violations(kept_page, "suggestion for a distilled LoRA", RULES) == []

    kept_page.get_by_role("button", name="Use 8 steps, CFG 1, Euler, SGM Uniform").press("Enter")
    expect_form(kept_page, steps=8, cfg=1, sampler="Euler", schedule="SGM Uniform")
    expect(note).to_be_hidden()
    kept_page.get_by_role("button", name="Undo").press("Enter")
    expect_form(kept_page, steps=20, cfg=5, schedule="Uniform")
    expect(note).to_be_visible()
    note.get_by_role("button", name="Dismiss").click()
    expect(note).to_be_hidden()
    kept_page.fill("#steps input", "21")
    expect_form(kept_page, steps=21)
    expect(note).to_be_hidden()


def test_a_hires_pass_beyond_the_checkpoint(kept_page: Page) -> None:
    warning = kept_page.locator(".size-warning")
    expect(warning).to_be_hidden()
    kept_page.evaluate("webbduck.form.set('hires_scale', 4)")
    expect(warning).to_contain_text("The hires pass: 1024 × 1024 px is larger than the")
    kept_page.evaluate("webbduck.form.set('hires_scale', '')")
    expect(warning).to_be_hidden()


@pytest.fixture
def bare(studio) -> Iterator[str]:
    """A checkpoint without a VAE, and a VAE."""
    folder = studio.settings.checkpoints
    shapes = {key: shape for key, shape in SDXL.items() if not key.startswith(VAE)}
    beside = {key: shape for key, shape in SDXL.items() if key.startswith(VAE)}
    files = (
        save(folder / "sdxl" / "bare.safetensors", shapes),
        save(folder / "vae" / "mine.safetensors", beside),
    )
    registry = studio.services.registry
    wait_until(lambda: registry.has_checkpoint("bare") and registry.vaes())
    yield "bare"
    for file in files:
        file.unlink()
    wait_until(lambda: not registry.has_checkpoint("bare") and not registry.vaes())


def test_a_checkpoint_without_a_vae_asks_for_one(kept_page: Page, bare: str) -> None:
    note = kept_page.locator(".missing-vae.notice")
    expect(note).to_be_hidden()
    kept_page.fill("#prompt textarea", "a duck")
    choose(kept_page, "Checkpoint", bare)
    expect(note).to_contain_text("bare has no VAE of its own; choose one to draw with it.")
    unfold_all(kept_page)
    expect(kept_page.locator("#problem-vae")).to_have_text(
        re.compile("bare has no VAE of its own; choose one here")
    )
    assert violations(kept_page, "a checkpoint without a VAE", RULES) == []
    kept_page.get_by_role("button", name="Generate", exact=True).click()
    expect(kept_page.locator("#problem-vae")).to_contain_text(
        "bare has no VAE of its own; choose one (vae): mine."
    )
    note.get_by_role("button", name="Use mine").press("Enter")
    expect_form(kept_page, vae="mine", base_model=bare)
    expect(note).to_be_hidden()
    expect(kept_page.locator("#problem-vae")).to_have_count(0)
