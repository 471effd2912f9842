"""The way from the starter to one's own models."""

from __future__ import annotations

from pathlib import Path

from barriers import violations
from form_page import expect_form
from playwright.sync_api import Page, expect
from running import STARTER


def test_words_that_the_starter_does_not_know_are_named_below_the_prompt(kept_page: Page) -> None:
    said = kept_page.locator(".prompt-unknown")
    below = kept_page.locator("#size")
    expect(said).to_have_class("prompt-unknown silent")
    expect(said).to_have_js_property("hidden", False)  # which its first answer says of a checkpoint
    place = below.bounding_box()
    kept_page.fill("#prompt textarea", "photo of an astronaut riding a horse on mars, 8k")
    expect(said.get_by_role("status")).to_contain_text(
        "The starter model does not know: astronaut, horse, mars."
    )
    assert below.bounding_box() == place  # it has a line of its own, whether it says something or not
    kept_page.fill("#prompt textarea", "a photo of the red duck with a hat, which is swimming on a pond")
    expect(said).to_be_hidden()
    kept_page.fill("#prompt textarea", "a dragon")
    expect(said.get_by_role("status")).to_contain_text("does not know: dragon.")
    said.get_by_role("button", name="Add a model").click()
    expect(kept_page.get_by_role("article", name="Add a model")).to_be_visible()


def test_checkpoints_and_tools_tell_their_folders_and_can_be_used(kept_page: Page, studio) -> None:
    sdxl: Path = studio.settings.checkpoints / "sdxl"
    kept_page.get_by_role("tab", name="Studio").click()
    kept_page.get_by_role("button", name="All checkpoints").click()
    card = kept_page.get_by_role("article", name="Add a model")
    expect(card.locator("code")).to_have_text(str(sdxl.absolute()))
    expect(card.get_by_role("button", name="Copy the path")).to_be_visible()
    mine = kept_page.get_by_role("article", name="own duck")
    (sdxl / "own duck").symlink_to((sdxl / STARTER).resolve())
    try:
        expect(kept_page.get_by_role("article", name=STARTER, exact=True)).to_contain_text(
            "In use in the Studio"
        )
        mine.get_by_role("button", name="Use in the Studio").click()
        expect(kept_page.locator("#checkpoint input")).to_be_visible()
        expect_form(kept_page, base_model="own duck")
    finally:
        (sdxl / "own duck").unlink()
    expect_form(kept_page, base_model=STARTER)

    kept_page.get_by_role("tab", name="LoRAs").click()
    kept_page.get_by_role("button", name="Tools").click()
    for title, folder in {"Upscalers": "upscale", "Captioners": "caption", "VAEs": "vae"}.items():
        kind = kept_page.get_by_role("article", name=title)
        expect(kind.locator("code")).to_have_text(str((studio.settings.checkpoints / folder).absolute()))
    file = studio.settings.checkpoints / "upscale" / "broken.safetensors"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"nothing")
    try:
        expect(kept_page.get_by_role("article", name="Upscalers")).to_contain_text("broken.safetensors")
    finally:
        file.unlink()
    for section in ("Tools", "Checkpoints"):
        kept_page.get_by_role("button", name=section, exact=True).click()
        assert violations(kept_page, section) == []
