"""The LoRAs tab: files appear by themselves, are found, read, edited, and added to the Studio."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lora_files import lora_bytes, make_lora
from loras_page import open_loras
from playwright.sync_api import Page, expect
from running import STARTER, wait_until

NAME = 'styles/ink <script>alert(1)<script> "wash" 🦆'


@pytest.fixture
def folder(studio) -> Iterator[Path]:
    yield studio.settings.loras
    for path in studio.settings.loras.rglob("*"):
        if path.is_file():
            path.unlink()
    wait_until(lambda: not studio.services.registry.loras())


def test_from_the_folder_into_the_studio(kept_page: Page, studio, folder: Path) -> None:
    starter = studio.settings.checkpoints / "sdxl" / STARTER
    kept_page.get_by_role("tab", name="LoRAs").click()
    expect(kept_page.locator(".cards")).to_contain_text("No LoRAs yet")
    tags = json.dumps({"10_x": {"ink": 40, "<b>paper</b>": 7}})
    make_lora(folder / f"{NAME}.safetensors", starter, {"ss_tag_frequency": tags, "ss_network_dim": "2"})
    own = {
        "modelspec.trigger_phrase": "in crayon",
        "ss_tag_frequency": json.dumps({"1": {"In crayon": 2, "soft": 1}}),
    }
    make_lora(folder / "crayon.safetensors", starter, own)
    cards = kept_page.locator(".cards .card")
    expect(cards).to_have_count(2)
    kept_page.fill(".catalog .find", "paper wash")
    expect(cards).to_have_count(1)
    expect(cards.locator("h3")).to_have_text(NAME)
    cards.locator(".pic").click()
    sheet = kept_page.locator(".lora-details .sheet")
    expect(sheet.locator(".hero")).to_have_count(1)
    expect(sheet.locator(".hero")).to_be_hidden()  # there is no preview
    expect(sheet.locator(".chips")).to_have_text("ink 40<b>paper</b> 7")
    sheet.get_by_label("Trigger phrase").fill("ink wash <i>")
    sheet.get_by_label("Default weight").fill("0.65")
    sheet.get_by_role("button", name="Save").click()
    expect(sheet.locator(".form-status")).to_have_text("Saved to loras.json.")
    noted = json.loads((folder / "loras.json").read_text())[NAME]
    assert (noted["trigger"], noted["weight"]) == ("ink wash <i>", 0.65)
    sheet.get_by_label("Default weight").fill("7")
    sheet.locator("form").evaluate("form => { form.noValidate = true; }")
    sheet.get_by_role("button", name="Save").click()
    expect(sheet.locator(".form-status")).to_contain_text("must be a number from -2 to 2")
    sheet.get_by_role("button", name="Add to Studio").click()
    row = kept_page.locator(".stack ol li")
    expect(row).to_contain_text("Adds to the prompt: ink wash <i>")
    expect(row.locator("input.typed-number")).to_have_value("0.65")
    (folder / f"{NAME}.safetensors").unlink()
    expect(row).to_contain_text("No longer in the lora folder.")
    kept_page.get_by_role("tab", name="LoRAs").click()
    kept_page.fill(".catalog .find", "")
    expect(cards.locator("h3")).to_have_text("crayon")
    expect(cards.locator(".trigger b")).to_have_text("in crayon")
    expect(cards.locator(".tags")).to_have_text("soft")
    expect(kept_page.locator(".catalog .missing")).to_contain_text(NAME)


def test_two_pages_undo_nothing_of_each_other(kept_page: Page, studio, folder: Path) -> None:
    make_lora(folder / "ink.safetensors", studio.settings.checkpoints / "sdxl" / STARTER)
    kept_page.get_by_role("tab", name="LoRAs").click()
    # The page may still show the LoRA of the test before.
    kept_page.locator(".cards .card", has_text="ink").locator(".pic").click()
    sheet = kept_page.locator(".lora-details .sheet")
    expect(sheet.get_by_label("Trigger phrase")).to_have_value("")
    registry = studio.services.registry
    registry.edit_lora("ink", {"trigger": "of another page"})
    sheet.get_by_label("Default weight").fill("0.6")
    sheet.get_by_role("button", name="Save").click()
    expect(sheet.locator(".form-status")).to_have_text("Saved to loras.json.")
    expect(sheet.get_by_label("Trigger phrase")).to_have_value("of another page")
    registry.edit_lora("ink", {"trigger": "changed again"})
    sheet.get_by_label("Trigger phrase").fill("mine")
    sheet.get_by_role("button", name="Save").click()
    expect(sheet.locator(".form-status")).to_contain_text('changed meanwhile and is now "changed again"')
    expect(sheet.get_by_label("Trigger phrase")).to_have_value("mine")
    noted = json.loads((folder / "loras.json").read_text())["ink"]
    assert (noted["trigger"], noted["weight"]) == ("changed again", 0.6)
    sheet.get_by_role("button", name="Save").click()
    expect(sheet.locator(".form-status")).to_have_text("Saved to loras.json.")
    assert json.loads((folder / "loras.json").read_text())["ink"]["trigger"] == "mine"
    sheet.get_by_role("button", name="Save").click()
    expect(sheet.locator(".form-status")).to_have_text("No changes.")
    kept_page.keyboard.press("Escape")


def test_checkpoints_and_what_can_no_longer_be_chosen(kept_page: Page, studio) -> None:
    sdxl = studio.settings.checkpoints / "sdxl"
    kept_page.get_by_role("tab", name="LoRAs").click()
    kept_page.get_by_role("button", name="Checkpoints").click()
    mine = kept_page.locator(".model", has_text="second duck")
    expect(kept_page.locator(".model")).to_have_count(1)
    shutil.copytree((sdxl / STARTER).resolve(), sdxl / "second duck", copy_function=shutil.copyfile)
    try:
        mine.locator("[name=steps]").fill("9")
        mine.get_by_role("button", name="Save defaults").click()
        wait_until(lambda: studio.services.registry.checkpoint("second duck").defaults.steps == 9)
        kept_page.get_by_role("tab", name="Studio").click()
        kept_page.click("#checkpoint input")
        kept_page.get_by_role("option", name="second duck").click()
        expect(kept_page.locator("#steps input")).to_have_value("9")
        kept_page.fill("#steps input", "11")
        kept_page.get_by_role("tab", name="LoRAs").click()
        mine.get_by_role("button", name="Use the Studio’s settings").click()
        wait_until(lambda: studio.services.registry.checkpoint("second duck").defaults.steps == 11)
        kept_page.get_by_role("tab", name="Studio").click()
    finally:
        shutil.rmtree(sdxl / "second duck")
    expect(kept_page.locator("#checkpoint input")).to_have_value(STARTER)
    expect(kept_page.locator(".notice.error")).to_contain_text(
        "The checkpoint second duck is no longer available"
    )


def test_of_a_long_list_more_cards_come_when_they_are_wanted(page: Page, studio, folder: Path) -> None:
    whole = lora_bytes(studio.settings.checkpoints / "sdxl" / STARTER)
    many = 400
    for number in range(many):
        (folder / f"ink {number:03}.safetensors").write_bytes(whole)
    wait_until(lambda: len(studio.services.registry.loras()) == many)
    open_loras(page)
    cards, more = page.locator(".cards .card"), page.locator(".more-cards")
    expect(page.locator(".catalog .count")).to_have_text(str(many))
    expect(more).to_contain_text("Show more")
    assert 120 <= cards.count() < many

    def all_are_there() -> bool:
        # Near the window's end they come by themselves, so that there may be no time to press the button.
        page.evaluate("document.querySelector('.more-cards')?.scrollIntoView()")
        return cards.count() == many

    wait_until(all_are_there)
    expect(more).to_have_count(0)
    page.fill(".catalog .find", "ink 129")
    expect(cards).to_have_count(1)
