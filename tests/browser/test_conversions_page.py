"""Pickles in the page: a press converts them, or says why not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from barriers import violations
from loras_page import open_loras
from playwright.sync_api import Page, expect
from running import wait_until
from safetensors.torch import load_file


class Runs:
    def __reduce__(self) -> object:
        return os.system, ("true",)


@pytest.fixture(scope="module")
def folder(studio, starter_checkpoints: Path) -> Iterator[Path]:
    """A sound upscaler, and a hostile one."""
    root: Path = studio.settings.checkpoints / "upscale"
    root.mkdir(exist_ok=True)
    weights = load_file(starter_checkpoints / "upscale" / "webbduck-starter-x2.safetensors")
    torch.save({"params_ema": weights}, root / "sharp.pth")
    torch.save({"a": Runs()}, root / "evil.pth")
    yield root
    for path in root.iterdir():
        path.unlink()
    studio.services.conversions.clear()
    wait_until(lambda: not studio.services.registry.upscalers())


def test_all_of_a_section(page: Page, window, folder: Path) -> None:
    open_loras(page)
    page.get_by_role("button", name="Tools", exact=True).click()
    card = page.get_by_role("article", name="Upscalers")
    expect(card).to_contain_text(
        "sharp.pth is a pickle file, which could run arbitrary code when loaded; press"
    )
    expect(card.get_by_role("button", name="Convert")).to_have_count(2)
    offer = page.locator(".conversions")
    expect(offer).to_contain_text("2 pickles here.")
    assert violations(page, "pickles") == []
    offer.get_by_role("button", name="Convert all (2)").press("Enter")
    told = page.get_by_role("status", name="Conversions")
    expect(told).to_contain_text("sharp.pth was converted to sharp.safetensors.")
    expect(told).to_contain_text("evil.pth asks for `posix.system`")
    expect(card.get_by_text("sharp", exact=True)).to_be_visible()
    expect(card).to_contain_text("converted from sharp.pth")
    expect(card.get_by_role("button", name="Convert")).to_have_count(1)

    phone = window(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    open_loras(phone)
    phone.get_by_role("button", name="Tools", exact=True).click()
    again = phone.get_by_role("button", name="Convert evil.pth to safetensors")
    box = again.bounding_box()
    assert box is not None and box["height"] >= 40 and box["width"] >= 40
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(phone, "pickles on a phone") == []
    phone.get_by_role("button", name="Clear the list").tap()
    expect(phone.get_by_role("status", name="Conversions")).to_have_text("")
    again.tap()
    expect(phone.get_by_role("button", name="Cancel the conversion of evil.pth")).to_be_visible()
    expect(phone.get_by_role("status", name="Conversions")).to_contain_text(
        "evil.pth asks for `posix.system`"
    )
    assert not (folder / "evil.safetensors").exists()
